"""Update of a running study on stderr: a line for what is done, one live line for what is under way."""

from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape

from mapsearch.core.events import Message, Progress
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict


def show_updates(update: Iterator[Message | Progress | Trial | Verdict]) -> Verdict | None:
    """Print the update until the end; the verdict, if there was one, comes out."""
    console = Console(stderr=True, highlight=False)
    verdict = None
    with console.status("starting") as status:
        for item in update:
            if isinstance(item, Progress):
                trial, rung, seed = item.key
                status.update(f"trial {trial}, rung {rung}, seed {seed}: step {item.step}/{item.n_steps}")
            elif isinstance(item, Message):
                console.print(f"[bold]{item.stage:>9}[/]  {escape(item.text)}", soft_wrap=True)
            elif isinstance(item, Trial):
                console.print(_line(item), soft_wrap=True)
            else:
                verdict = item
    return verdict


def _line(trial: Trial) -> str:
    value = f"{trial.value:.4f}" if trial.value is not None else trial.state
    return f"{trial.number:>9}  {trial.control or trial.proposer:<13} {value:>10}  {escape(str(trial.recipe))}"
