"""A run: one training of a student (recipe x rung x seed); what is planned and how it ended."""

from dataclasses import dataclass, field, replace
from typing import Literal, Self

from mapsearch.core.recipe import Recipe

RunState = Literal["waiting", "running", "complete", "diverged", "oom", "crashed", "invalid", "stopped"]


Split = Literal["valid", "test"]


Stage = Literal["tune", "noise", "search", "shortlist", "confirm"]


INFEASIBLE: tuple[RunState, ...] = ("diverged", "oom", "invalid")


FINISHED: tuple[RunState, ...] = ("complete", "diverged", "oom", "crashed", "invalid")


RunKey = tuple[int, int, int]
"""(trial number, rung, seed): the identity of a run within its study."""


@dataclass(frozen=True)
class RunPlan:
    """One training of a student that is wanted: recipe x rung x seed, measured on a split.

    `n_parts` is the number of parts each batch is worked on in, for a run that does not fit otherwise.
    `attempt` numbers the tries of the run from 1; everything that is reported about the run carries it,
    so that a late result of a lost attempt is recognised.
    """

    trial: int
    recipe: Recipe
    rung: int
    seed: int
    stage: Stage
    split: Split
    n_steps: int
    n_parts: int = 1
    attempt: int = 1

    @property
    def key(self) -> RunKey:
        """Its identity within the study."""
        return (self.trial, self.rung, self.seed)

    def ended(self, result: "RunResult", value: float | None) -> "Run":
        """The run as that result leaves it; `value` is the study's metric, if the run has one."""
        return Run(
            self.trial, self.rung, self.seed, self.stage, self.split, self.n_steps,
            result.state, result.attempt, value, result,
        )  # fmt: skip

    def next_attempt(self) -> Self:
        """The same run, tried once more."""
        return replace(self, attempt=self.attempt + 1)


@dataclass(frozen=True)
class RunResult:
    """How one run ended.

    `seconds` is the student's own training time plus its part of the shared teacher passes.
    `curve` holds (step, loss). `scales` and `gradient_shares` are per feature term, in the order of
    `recipe.feature_terms`; a share is the term's part of the summed gradient norms of all loss terms.
    `norms` and `mixed_weights` are per pair, in the order of the recipe's pairs: what each teacher
    feature was divided by before it was mixed (empty where pairs are summed), and the learned `W`
    averaged over the steps (empty where nothing is learned).
    `term_curve` holds (step, values), some of the steps of `curve`: the weighted terms of the loss, named in `terms`.
    `first_loss` is the total loss of the first batch, which an export must reproduce.
    """

    key: RunKey
    state: RunState
    metrics: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    curve: tuple[tuple[int, float], ...] = ()
    scales: tuple[float, ...] = ()
    norms: tuple[float, ...] = ()
    mixed_weights: tuple[float, ...] = ()
    gradient_shares: tuple[float, ...] = ()
    first_loss: float | None = None
    error: str = ""
    notes: tuple[str, ...] = ()
    attempt: int = 1
    terms: tuple[str, ...] = ()
    term_curve: tuple[tuple[int, tuple[float, ...]], ...] = ()


Cohort = tuple[RunPlan, ...]
"""Runs trained side by side: equal seed, steps and split."""


@dataclass(frozen=True)
class Run:
    """A run of the study database: its plan's identity and how far it got."""

    trial: int
    rung: int
    seed: int
    stage: Stage
    split: Split
    n_steps: int
    state: RunState
    attempt: int
    value: float | None
    result: RunResult | None

    @property
    def key(self) -> RunKey:
        """Its identity within the study."""
        return (self.trial, self.rung, self.seed)
