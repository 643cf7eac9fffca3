"""What lists show of studies and runs: enough for a line, and nothing that is slow to load."""

from dataclasses import dataclass

from mapsearch.core.runs import RunKey, RunState, Stage
from mapsearch.core.studies import StudyState


@dataclass(frozen=True)
class StudySummary:
    """A study in a list. `n_expected` is the most runs it will take; `sentence` its verdict's, None before it."""

    name: str
    state: StudyState
    created_at: str
    updated_at: str
    n_trials: int
    n_runs: int
    n_complete: int
    n_expected: int | None
    sentence: str | None


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
