"""What is known of a study, its trials and runs: the rows of the study database as nouns."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from mapsearch.core.recipe import Recipe

DEFAULT_STORAGE = "sqlite:///mapsearch.db"
"""The study database when nothing else is said: a file in the working folder."""

StudyState = Literal["running", "stopped", "complete", "failed"]
TrialState = Literal["waiting", "complete", "infeasible", "crashed"]
RunState = Literal["waiting", "running", "complete", "diverged", "oom", "crashed", "invalid", "stopped"]
Proposer = Literal["tune", "control", "curve", "free", "matched"]
Split = Literal["valid", "test"]
Stage = Literal["tune", "noise", "search", "shortlist", "confirm"]
Outcome = Literal["BEATS", "TIES", "WORSE", "INCONCLUSIVE"]

INFEASIBLE: tuple[RunState, ...] = ("diverged", "oom", "invalid")
FINISHED: tuple[RunState, ...] = ("complete", "diverged", "oom", "crashed", "invalid")

RunKey = tuple[int, int, int]
"""(trial number, rung, seed): the identity of a run within its study."""


@dataclass(frozen=True)
class Trial:
    """One recipe of the study.

    `control` names the control it stands for, or is empty. `sampler_number` is its number in the
    Optuna study, None for recipes outside the sampled space. `value` is the mean metric of its
    complete runs at the first rung (at the tune rung for `proposer="tune"`).
    """

    number: int
    proposer: Proposer
    recipe: Recipe
    control: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    sampler_number: int | None = None
    state: TrialState = "waiting"
    value: float | None = None


@dataclass(frozen=True)
class RunPlan:
    """One training of a student that is wanted: recipe x rung x seed, measured on a split.

    `n_parts` is the number of parts each batch is worked on in, for a run that does not fit otherwise.
    """

    trial: int
    recipe: Recipe
    rung: int
    seed: int
    stage: Stage
    split: Split
    n_steps: int
    n_parts: int = 1

    @property
    def key(self) -> RunKey:
        """Its identity within the study."""
        return (self.trial, self.rung, self.seed)


@dataclass(frozen=True)
class Started:
    """A worker began with these runs."""

    keys: tuple[RunKey, ...]
    worker: str


@dataclass(frozen=True)
class Lost:
    """A worker died or could not work; these runs of its cohort have no result."""

    keys: tuple[RunKey, ...]
    error: str


@dataclass(frozen=True)
class Progress:
    """A run is under way: `step` of `n_steps` done, `loss` at that step."""

    key: RunKey
    step: int
    n_steps: int
    loss: float


@dataclass(frozen=True)
class RunResult:
    """How one run ended.

    `seconds` is the student's own training time plus its part of the shared teacher passes.
    `curve` holds (step, loss). `scales` and `gradient_shares` are per feature term, in the order of
    `recipe.feature_terms`; a share is the term's part of the summed gradient norms of all loss terms.
    `norms` and `mixed_weights` are per pair, in the order of the recipe's pairs: what each teacher
    feature was divided by before it was mixed (empty where pairs are summed), and the learned `W`
    averaged over the steps (empty where nothing is learned).
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


@dataclass(frozen=True)
class Note:
    """Something worth a line: the stage it belongs to and a sentence."""

    stage: str
    text: str


Event = Started | Progress | RunResult | Lost
"""What comes back while cohorts are trained."""

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


@dataclass(frozen=True)
class Noise:
    """How large seed noise is beside the differences between mappings, in units of the metric.

    `flat` says that the mappings' spread cannot be told from seed noise.
    """

    seed_sd: float
    mapping_sd: float
    flat: bool

    @property
    def blind(self) -> bool:
        """Whether every run ended alike: such short runs cannot steer a search."""
        return self.seed_sd == 0


@dataclass(frozen=True)
class Against:
    """The nominee against one control, paired by seed.

    `difference` is the nominee's gain: nominee minus control, its sign turned for a metric that is
    minimized; `[low, high]` its 95 % BCa bootstrap interval, `p_value` adjusted for all controls at once.
    """

    control: str
    trial: int
    outcome: Outcome
    difference: float
    low: float
    high: float
    p_value: float
    n_seeds: int


@dataclass(frozen=True)
class Verdict:
    """What the study found, in words and numbers.

    `nominee` is the trial the search picked, `recommended` the cheapest one that ties with the best.
    """

    sentence: str
    nominee: int | None
    recommended: int | None
    noise: Noise | None
    against: tuple[Against, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal verdict back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Verdict":
        """The verdict that `to_json` wrote."""
        return cls(
            **{
                **data,
                "noise": Noise(**data["noise"]) if data["noise"] else None,
                "against": tuple(Against(**row) for row in data["against"]),
                "warnings": tuple(data["warnings"]),
            }
        )


@dataclass(frozen=True)
class Study:
    """One study of the database; `spec` is the study file with its defaults written out.

    `facts` holds what the stages found so far, by name: environment, teacher, layers, similarity,
    tuned, noise, finalists, verdict.
    """

    name: str
    state: StudyState
    spec: dict[str, Any]
    folder: str
    facts: dict[str, Any]
    created_at: str
    updated_at: str
    n_trials: int
    n_runs: int
    n_complete: int
