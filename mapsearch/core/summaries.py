"""What lists show of studies and runs: enough for a line, and nothing that is slow to load."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from mapsearch.core.failures import FailureGroup
from mapsearch.core.overheads import Overheads
from mapsearch.core.port import Port
from mapsearch.core.runs import RunKey, RunState, Stage
from mapsearch.core.studies import StudyState
from mapsearch.core.trials import Proposer, TrialState
from mapsearch.core.verdict import Verdict


@dataclass(frozen=True)
class StudySummary:
    """A study in a list. `n_expected` is the most runs it will take; `sentence` its verdict's, None before it.

    `note` is what people wrote about it.
    """

    name: str
    state: StudyState
    created_at: str
    updated_at: str
    n_trials: int
    n_runs: int
    n_complete: int
    n_expected: int | None
    sentence: str | None
    note: str = ""


@dataclass(frozen=True)
class RunSummary:
    """A run without its curve and its scales.

    `seconds` is None until it ended; `error` and `notes` say what went wrong or must be known of it;
    `mixed_weights` is what `mix` has learned, in the order of the recipe's pairs.
    """

    trial: int
    rung: int
    seed: int
    stage: Stage
    n_steps: int
    state: RunState
    value: float | None
    seconds: float | None = None
    error: str = ""
    notes: tuple[str, ...] = ()
    mixed_weights: tuple[float, ...] = ()

    @property
    def key(self) -> RunKey:
        """Its identity within the study."""
        return (self.trial, self.rung, self.seed)


@dataclass(frozen=True)
class StudyEvent:
    """Something that happened to a study; `id` rises with time, `at` is UTC in ISO form."""

    id: int
    at: str
    kind: str
    message: str


@dataclass(frozen=True)
class StudyCost:
    """What a study has taken so far: seconds of all its runs, and optimizer steps of the complete ones."""

    device_seconds: float
    n_steps: int


@dataclass(frozen=True)
class TrialSummary:
    """A trial and what its runs came to.

    `recipe` is `Recipe.to_json()`. `confirmed` are the values on the seeds of the confirm stage, `confirmed_seeds`, in
    their order, and `confirmed_metrics` those of every metric, None where one is not finite. `overhead_measured` is
    its training time over that of the control `outputs`: the median over runs of equal rung and seed, None if there are
    none. `overhead` is the same smoothed over recipes (`Overheads`), once that is known and where it has features.
    `warnings` says what went wrong in its runs or must be known of them, each text once. `mixed_weights` is what `mix`
    has learned, pair by pair: the mean over its longest runs, empty if nothing.
    """

    number: int
    proposer: Proposer
    control: str
    state: TrialState
    value: float | None
    recipe: dict[str, Any]
    params: dict[str, Any]
    confirmed: tuple[float, ...] = ()
    overhead: float | None = None
    overhead_measured: float | None = None
    warnings: tuple[str, ...] = ()
    mixed_weights: tuple[float, ...] = ()
    confirmed_seeds: tuple[int, ...] = ()
    confirmed_metrics: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)

    @property
    def confirmed_means(self) -> dict[str, float | None]:
        """The mean of every metric over the fresh seeds; None where one of the values is not finite."""
        means: dict[str, float | None] = {}
        for name, values in self.confirmed_metrics.items():
            finite = [value for value in values if value is not None]
            means[name] = fmean(finite) if len(finite) == len(values) else None
        return means


@dataclass(frozen=True)
class StudyOverview:
    """A study as `show` tells of it, with some of its trials or all.

    `n_steps` is the number of optimizer steps of a full run; `budget` the full runs it may take, None in studies of
    earlier versions; `teacher` the teacher's metrics on the validation data, `overheads` what recipes cost, from the
    verdict on, `failures` its failed runs by what they have in common, `port` what it took
    over from another study.
    """

    name: str
    state: StudyState
    metric: str
    direction: str
    n_steps: int
    budget: int | None
    n_trials: int
    n_runs: int
    n_complete: int
    n_expected: int | None
    teacher: dict[str, float | None]
    verdict: Verdict | None
    cost: StudyCost
    trials: tuple[TrialSummary, ...]
    overheads: Overheads | None = None
    failures: tuple[FailureGroup, ...] = ()
    port: Port | None = None
    note: str = ""
