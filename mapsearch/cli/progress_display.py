"""Progress of a running study on stderr: a line for what is done, one live line for what is under way."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from mapsearch.core.events import Message, Progress
from mapsearch.core.text import printable
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict


def show_updates(updates: Iterator[Message | Progress | Trial | Verdict]) -> Verdict | None:
    """Print the updates until the end; returns the verdict, if there was one."""
    console = Console(stderr=True, highlight=False)
    verdict = None
    with console.status("starting") as status:
        for item in updates:
            if isinstance(item, Progress):
                trial, rung, seed = item.key
                status.update(f"trial {trial}, rung {rung}, seed {seed}: step {item.step}/{item.n_steps}")
            elif isinstance(item, Message):
                line = Text.assemble((f"{item.stage:>9}", "bold"), f"  {printable(item.text)}")
                console.print(line, soft_wrap=True)
            elif isinstance(item, Trial):
                console.print(Text(_line(item)), soft_wrap=True)
            else:
                verdict = item
    return verdict


def _line(trial: Trial) -> str:
    value = f"{trial.value:.4f}" if trial.value is not None else trial.state
    return f"{trial.number:>9}  {trial.control or trial.proposer:<13} {value:>10}  {printable(str(trial.recipe))}"
