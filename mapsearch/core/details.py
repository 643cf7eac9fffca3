"""What a page about one study tells beside its verdict: its layers, its search history, what each stage took."""

from dataclasses import dataclass
from typing import Any, Literal

from mapsearch.core.facts import StudyFacts
from mapsearch.core.runs import Run, Stage
from mapsearch.core.summaries import StudyEvent, StudyOverview, TrialSummary
from mapsearch.core.trials import Proposer


@dataclass(frozen=True)
class TrialValue:
    """One trial of the search history: what it came to at the first rung, None while it has no value."""

    number: int
    proposer: Proposer
    control: str
    value: float | None


@dataclass(frozen=True)
class StageCost:
    """What the runs of one stage took: seconds of all of them, and optimizer steps of the complete ones."""

    stage: Stage
    n_runs: int
    n_complete: int
    n_failed: int
    device_seconds: float
    n_steps: int


@dataclass(frozen=True)
class StudyDetails:
    """A study as a page shows it: `overview` with its best trials and controls, and all that its stages found.

    `spec` is the study file with its defaults written out; `history` has every trial, by number; `stages` those that
    have runs, in the order in which a study goes through them. `events` are the newest, oldest of them first.
    `steps_per_second` is the pace of all workers together over the last runs that ended, None where the study does
    not run; `folder` is where its task lies. The times are UTC in ISO form.
    """

    overview: StudyOverview
    facts: StudyFacts
    spec: dict[str, Any]
    history: tuple[TrialValue, ...]
    stages: tuple[StageCost, ...]
    created_at: str
    updated_at: str
    events: tuple[StudyEvent, ...] = ()
    steps_per_second: float | None = None
    folder: str = ""


TrialOrder = Literal["number", "value", "confirmed"]
"""How trials are listed: by number, or the best first by search value or by the mean on fresh seeds."""


@dataclass(frozen=True)
class TrialList:
    """A page of trials: `study` without any, and `n_fitting`, how many there are on all pages."""

    study: StudyOverview
    trials: tuple[TrialSummary, ...]
    n_fitting: int


@dataclass(frozen=True)
class Attempt:
    """One try of a run; `finished_at` is None while it is under way, `error` empty where nothing went wrong.

    `execution` is the section of the study file that it ran with, None in studies of earlier versions.
    """

    rung: int
    seed: int
    attempt: int
    worker: str
    state: str
    started_at: str
    finished_at: str | None
    error: str
    execution: dict[str, Any] | None


@dataclass(frozen=True)
class TrialDetails:
    """A trial as a page shows it: all of its runs with their results, every attempt; `study` has the controls."""

    study: StudyOverview
    facts: StudyFacts
    trial: TrialSummary
    runs: tuple[Run, ...]
    attempts: tuple[Attempt, ...]
