"""What goes into a tracker: a logger is called with every event of a study or a training and writes to its sink."""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

from mapsearch.core.events import Message, Progress, Standing
from mapsearch.core.trained import TrainReport, Validation
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict


class Sink(Protocol):
    """A tracker's run; `axis` names what `step` counts: `trial`, `runs`, `seeds` or `steps` of the optimizer."""

    def numbers(self, axis: str, step: int, values: dict[str, float]) -> None:
        """Log numbers by name at that step."""

    def text(self, name: str, text: str) -> None:
        """Log a text after the others of that name."""

    def close(self) -> None:
        """Write out what is left."""


class Logger:
    """An `on_event` hook of a study or of a final training.

    Of a study: values of trials, how far it is, its messages, and the verdict's gains. Losses of single runs are not
    logged: a study has hundreds of runs, and their curves are in its database. Of a final training: its loss with the
    terms, its validations, its messages, and what was measured at the end.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def __call__(self, event: object) -> None:
        """Log what the event holds, if that is anything."""
        if isinstance(event, Message):
            self._sink.text("messages", f"{event.stage}: {event.text}")
        elif isinstance(event, Standing):
            self._sink.numbers("runs", event.n_done, _standing(event))
        elif isinstance(event, Trial) and event.value is not None:
            self._sink.numbers("trial", event.number, {_name(event): event.value})
        elif isinstance(event, Verdict):
            self._sink.text("verdict", event.sentence)
            self._sink.numbers("seeds", max((q.n_seeds for q in event.questions), default=0), _gains(event))
        elif isinstance(event, Progress) and event.terms:
            self._sink.numbers("steps", event.step, _losses(event))
        elif isinstance(event, Validation):
            self._sink.numbers("steps", event.step, _named("valid", event.metrics))
        elif isinstance(event, TrainReport):
            self._sink.numbers("steps", event.kept_step, _final(event))

    def close(self) -> None:
        """Write out what is left."""
        self._sink.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _name(trial: Trial) -> str:
    """Tuned recipes have a name of their own: their values are of a longer rung."""
    if trial.control:
        return f"controls/{trial.control}"
    return "tune/value" if trial.proposer == "tune" else "trials/value"


def _standing(event: Standing) -> dict[str, float]:
    told = {"study/full_runs": event.spent}
    for name, trial in (("best", event.best), ("outputs", event.outputs)):
        if trial is not None and trial.value is not None:
            told[f"study/{name}"] = trial.value
    return told


def _gains(verdict: Verdict) -> dict[str, float]:
    """The nominee's gains over the controls that it was asked about, with the ends of their intervals."""
    gains: dict[str, float] = {}
    for question in verdict.questions:
        ends = {"": question.difference, "_low": question.low, "_high": question.high}
        if question.subject == "nominee":
            name = f"verdict/against_{question.control}"
            gains |= {f"{name}{end}": value for end, value in ends.items() if value is not None}
    return gains


def _losses(progress: Progress) -> dict[str, float]:
    return {"train/loss": progress.loss, **{f"train/{name}": value for name, value in progress.terms.items()}}


def _final(report: TrainReport) -> dict[str, float]:
    """What the student that is kept and its teacher were measured at, on each set of data."""
    told: dict[str, float] = {}
    for who, measured in (("final", report.metrics), ("teacher", report.teacher)):
        for data, metrics in measured.items():
            told |= _named(f"{who}/{data}", metrics)
    return told


def _named(group: str, metrics: Mapping[str, float | None]) -> dict[str, float]:
    return {f"{group}/{name}": value for name, value in metrics.items() if value is not None}
