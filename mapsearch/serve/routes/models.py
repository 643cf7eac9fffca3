"""The form of answers, for the OpenAPI document: what `--json` prints, where no noun of `core/` has that form already.

Nothing is computed here, and answers are not converted: a test holds these against what is really answered.
"""

from typing import Any

from pydantic import BaseModel

from mapsearch.core.failures import FailureGroup
from mapsearch.core.studies import StudyState
from mapsearch.core.trained import Keep
from mapsearch.core.trainings import TrainingFile, TrainingState
from mapsearch.core.trials import Proposer, TrialState
from mapsearch.core.verdict import Verdict


class StudyLine(BaseModel):
    """A study in the list of `mapsearch studies --json`; `verdict` is its sentence."""

    name: str
    state: StudyState
    created_at: str
    updated_at: str
    n_trials: int
    n_runs: int
    n_complete: int
    n_expected: int | None
    note: str
    verdict: str | None


class ChangedStudy(StudyLine):
    """A study that was renamed or deleted; `left_over` is what of its files could not be moved or removed with it."""

    left_over: list[str]


class Pair(BaseModel):
    """A student layer that a teacher layer teaches."""

    student: str
    teacher: str
    weight: float


class RecipeShown(BaseModel):
    """A recipe: the mapping as pairs, and all that its loss needs."""

    pairs: list[Pair]
    loss: str
    projector: str
    aggregation: str
    feature_share: float
    task_weight: float
    output_loss: str
    output_weight: float
    temperature: float
    anneal: float | None
    balance: str
    share_of: str
    features_until: float
    lr_factor: float


class ConfirmedMetric(BaseModel):
    """A metric on fresh seeds, in their order; None where it is not finite."""

    mean: float | None
    values: list[float | None]


class TrialShown(BaseModel):
    """A trial of `mapsearch show --json`."""

    number: int
    proposer: Proposer
    control: str | None
    state: TrialState
    value: float | None
    recipe: RecipeShown
    mixed_weights: list[float] | None
    params: dict[str, Any]
    troubles: list[str]
    confirmed: list[float]
    confirmed_seeds: list[int]
    confirmed_metrics: dict[str, ConfirmedMetric]
    overhead: float | None
    overhead_measured: float | None


class Budget(BaseModel):
    """Full-run equivalents."""

    planned: int | None
    spent: float


class Cost(BaseModel):
    """What the study has taken."""

    device_seconds: float
    full_run_equivalents: float


class CarriedShown(BaseModel):
    """A recipe of an older study between the layers of this one."""

    trial: int
    gain: float
    recipe: RecipeShown


class PortShown(BaseModel):
    """What a study took over from an older one."""

    name: str
    carried: list[CarriedShown]
    left_out: list[tuple[int, str]]
    again: list[int]
    controls: dict[str, float]
    n_compared: int | None
    correlation: float | None
    p_value: float | None


class StudyShown(BaseModel):
    """A study of `mapsearch show --json`."""

    name: str
    state: StudyState
    metric: str
    direction: str
    n_trials: int
    n_runs: int
    n_complete: int
    n_expected: int | None
    margin: float | None
    budget: Budget
    teacher: dict[str, float | None] | None
    verdict: Verdict | None
    trials: list[TrialShown]
    port: PortShown | None
    failures: list[FailureGroup]
    note: str
    cost: Cost


class TrainingShown(BaseModel):
    """A final training; `metrics` and `teacher` are those of `mapsearch train --json`, by data set and name."""

    id: str
    state: TrainingState
    study: str
    trial: int
    steps: int | None
    seed: int | None
    keep: Keep
    created_at: str
    problem: str | None
    files: list[TrainingFile]
    metrics: dict[str, dict[str, float | None]] | None
    teacher: dict[str, dict[str, float | None]] | None
