"""How far a study under way is: its stages, runs of the most it will take, the best so far, the time left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mapsearch.core.details import StageCost, StudyDetails, TrialValue
from mapsearch.core.forecast import StageForecast, duration
from mapsearch.core.trials import PROPOSALS
from mapsearch.report.standing import STAGES

BEFORE_RUNS = ("check", "compare")
"""Stages that train nothing."""


@dataclass(frozen=True)
class StageProgress:
    """One stage; `n_most` is None where it has no runs, or how many is not known."""

    name: str
    standing: Literal["done", "current", "to come"]
    n_done: int
    n_most: int | None


@dataclass(frozen=True)
class StudyProgress:
    """How far a study is. `number` counts stages from 1; `best` and `outputs` are search values, None before there are.

    `left` is the time left at most, in words: empty where the study does not run, or no pace is known yet.
    """

    number: int
    question: str
    n_done: int
    n_most: int
    stages: tuple[StageProgress, ...]
    best: TrialValue | None
    outputs: float | None
    left: str


def study_progress(details: StudyDetails, planned: Sequence[StageForecast]) -> StudyProgress:
    """The progress of a study.

    Args:
        planned: the runs of every stage, at most; empty where they are not known.
    """
    current = _current(details)
    done: dict[str, int] = {stage.stage: stage.n_complete + stage.n_failed for stage in details.stages}
    begun: dict[str, int] = {stage.stage: stage.n_runs for stage in details.stages}
    most: dict[str, int] = {
        stage.stage: sum(other.n_runs for other in planned if other.stage == stage.stage) for stage in planned
    }
    names = list(STAGES)
    place = names.index(current)
    stages = tuple(
        StageProgress(
            name,
            "done" if i < place else "current" if i == place else "to come",
            done.get(name, 0),
            None if name in BEFORE_RUNS else max(begun.get(name, 0), most.get(name, 0)) or None,
        )
        for i, name in enumerate(names)
    )
    n_most = sum(stage.n_done if stage.standing == "done" else stage.n_most or 0 for stage in stages)
    return StudyProgress(
        place + 1, STAGES[current], sum(done.values()), max(n_most, details.overview.n_expected or 0, 1), stages,
        _best(details), next((t.value for t in details.history if t.control == "outputs"), None),
        _left(details, planned, names[place:]),
    )  # fmt: skip


def _current(details: StudyDetails) -> str:
    if details.stages:
        return details.stages[-1].stage
    return "check" if details.facts.similarity is None else "compare"


def _best(details: StudyDetails) -> TrialValue | None:
    valued = [t for t in details.history if t.value is not None and t.proposer in PROPOSALS]
    sign = 1.0 if details.overview.direction == "maximize" else -1.0
    return max(valued, key=lambda t: sign * (t.value or 0.0), default=None)


def _left(details: StudyDetails, planned: Sequence[StageForecast], stages: Sequence[str]) -> str:
    """What the current stage and those to come still take, at the pace of the last runs."""
    if not details.steps_per_second or not planned:
        return ""
    taken: dict[str, float] = {stage.stage: _steps_ended(stage) for stage in details.stages}
    steps = {name: sum(other.n_runs * other.n_steps for other in planned if other.stage == name) for name in stages}
    left = sum(max(0.0, n_steps - taken.get(name, 0.0)) for name, n_steps in steps.items())
    return duration(left / details.steps_per_second)


def _steps_ended(stage: StageCost) -> float:
    """Optimizer steps of the ended runs; one that failed counts like the others of its stage."""
    if not stage.n_complete:
        return 0.0
    return stage.n_steps * (stage.n_complete + stage.n_failed) / stage.n_complete
