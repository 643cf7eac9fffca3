"""The reference of the commands, from the commands themselves."""

import inspect
from html import escape

import click

from mapsearch.cli.main import cli

INTRODUCTION = """# Commands

Every command takes `-h`, and `--debug` shows the traceback of an error. Results go to stdout, progress, notices and
errors to stderr. Exit codes: 0 done, 1 the study or its database failed, 2 wrong use, 130 interrupted.
"""


def page() -> str:
    """Every command with its arguments, options and example."""
    return "\n".join([INTRODUCTION, *(_section(command, "mapsearch", "##") for command in cli.commands.values())])


def _section(command: click.Command, parents: str, heading: str) -> str:
    name = f"{parents} {command.name}"
    with click.Context(command, info_name=name) as context:
        usage = command.get_usage(context).removeprefix("Usage: ")
        options = [row for parameter in command.params if (row := parameter.get_help_record(context)) and row[1]]
    usage = " ".join(usage.split())
    parts = [f"{heading} {name}", inspect.cleandoc(command.help or ""), f"```\n{usage}\n```"]
    if options:
        rows = [f"| <code>{_cell(names)}</code> | {_cell(said)} |" for names, said in options]
        parts.append("\n".join(["| option | |", "| --- | --- |", *rows]))
    if example := (command.epilog or "").partition("Example:")[2].strip():
        parts.append(f"```\n{example}\n```")
    if isinstance(command, click.Group):
        parts += [_section(part, name, f"{heading}#") for part in command.commands.values()]
    return "\n\n".join(parts) + "\n"


def _cell(text: str) -> str:
    return escape(text, quote=False).replace("|", "&#124;").replace("\n", " ")
