"""The command line: the group of all commands, and what becomes of an error."""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import click

from mapsearch import __version__
from mapsearch.cli.check import check
from mapsearch.cli.clean import clean
from mapsearch.cli.compare import compare
from mapsearch.cli.confirm import confirm
from mapsearch.cli.copy import copy
from mapsearch.cli.db import db
from mapsearch.cli.delete import delete
from mapsearch.cli.export import export
from mapsearch.cli.init import init
from mapsearch.cli.layers import layers
from mapsearch.cli.note import note
from mapsearch.cli.output import print_line
from mapsearch.cli.port import port
from mapsearch.cli.rename import rename
from mapsearch.cli.report import report
from mapsearch.cli.run import run
from mapsearch.cli.schema import schema
from mapsearch.cli.serve import serve
from mapsearch.cli.show import show
from mapsearch.cli.similarity import similarity
from mapsearch.cli.studies import studies
from mapsearch.cli.train import train
from mapsearch.core.errors import MEMORY_RAN_OUT, MapsearchError, StudyFailed, did_you_mean
from mapsearch.core.text import error_text

COMMANDS = (
    init, layers, check, similarity, run, port, confirm, studies, show, compare, report, train, export, serve,
    rename, copy, note, delete, clean, db, schema,
)  # fmt: skip
"""In the order in which a study needs them."""


class _Commands(click.Group):
    """A group that lists its commands in order, and offers close matches for a misspelt one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            hint = did_you_mean(args[0], list(self.commands)) or f"; commands: {', '.join(self.commands)}"
            raise click.ClickException(f"no command `{args[0]}`{hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SystemExit as left:
            if isinstance(left.__context__, BrokenPipeError):  # nobody reads on, as in `mapsearch show NAME | head -1`
                raise left.__context__ from None
            message = f"the study's own code ended the process: sys.exit({left.code!r}); remove that call"
            raise StudyFailed(message) from left


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="mapsearch")
@click.option("--debug", is_flag=True, help="Show the traceback of an error; accepted anywhere.")
def cli(debug: bool) -> None:
    """Find which teacher layers should teach which student layers, and prove whether it is worth it.

    \b
    Example:
      mapsearch init my-study && mapsearch run my-study/study.yaml
    """


for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run the command line: an error becomes one line for each problem, and an exit code.

    0: done; 1: the study failed; 2: wrong use; 130: interrupted, or not confirmed.
    """
    arguments, debug = _without_debug(sys.argv[1:])
    try:
        code = cli.main(arguments or ["--help"], prog_name="mapsearch", standalone_mode=False)
    except click.ClickException as error:
        _fail([_sentence(error)], 2)
    except MapsearchError as error:
        if debug:
            raise
        _fail(error.problems, error.exit_code)
    except (KeyboardInterrupt, click.Abort) as end:
        is_refusal = isinstance(end, click.Abort) and end.__cause__ is None  # click makes an Abort of Ctrl-C, too
        print_line("nothing was changed" if is_refusal else "interrupted", err=True)
        sys.exit(130)
    except MemoryError:
        if debug:
            raise
        _fail([MEMORY_RAN_OUT], 1)
    except Exception as error:
        if debug:
            raise
        _fail([f"unexpected {error_text(error)}; run the command again with --debug to see where"], 1)
    sys.exit(code)


def _without_debug(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without `--debug`, which click would take before the command only; what follows `--` stays."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    left = [argument for argument in arguments[:end] if argument != "--debug"]
    return [*left, *arguments[end:]], len(left) < end


def _sentence(error: click.ClickException) -> str:
    """What click says, in the form of our own errors, with the help that says more."""
    message = error.format_message().removesuffix(".")
    message = message[:1].lower() + message[1:]
    context = error.ctx if isinstance(error, click.UsageError) else None
    return message if context is None else f"{message}; see `{context.command_path} --help`"


def _fail(problems: Iterable[str], code: int) -> NoReturn:
    for problem in problems:
        print_line(f"error: {problem}", err=True)
    sys.exit(code)
