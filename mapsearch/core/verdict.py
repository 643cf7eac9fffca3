"""The verdict of a study: questions with their answers, what to use, and how large seed noise is."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["BEATS", "TIES", "WORSE", "INCONCLUSIVE"]
Decision = Literal["use_features", "use_outputs", "use_none", "undecided", "nothing_learned"]

MOST_SEEDS_TOLD = 50
"""`seeds_to_settle` above this is told as "more than": so far ahead an estimate is a guess."""


@dataclass(frozen=True)
class Noise:
    """How large seed noise is beside the differences between mappings, in units of the metric.

    `flat` says that the mappings' spread cannot be told from seed noise; `mapping_limit` is the upper 95 % limit of
    that spread (standard deviation between mappings), None in studies of earlier versions.
    """

    seed_sd: float
    mapping_sd: float
    flat: bool
    mapping_limit: float | None = None

    @property
    def blind(self) -> bool:
        """Whether every run ended alike: such short runs cannot steer a search."""
        return self.seed_sd == 0


@dataclass(frozen=True)
class Question:
    """One trial against one control, paired by seed, as it stands at its last look.

    `subject` is `nominee`, or `outputs` where features did not win. `difference` is the subject's gain: subject minus
    control, its sign turned for a metric that is minimized; `[low, high]` its interval, which covers the truth in 95 %
    of studies whenever they stop. `p_value` is that of a paired t test at this look alone. A question that was not
    `asked` says `why_not`. `seeds_to_settle` is an estimate for an open one; above `MOST_SEEDS_TOLD` it means "more".
    `worst` is the worst single difference, `odd_seed` a seed whose difference stands far apart from all others.
    """

    control: str
    subject: str = "nominee"
    trial: int | None = None
    asked: bool = True
    why_not: str = ""
    outcome: Outcome | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    n_seeds: int = 0
    seeds_to_settle: int | None = None
    worst: float | None = None
    odd_seed: int | None = None


@dataclass(frozen=True)
class Against:
    """The nominee against one control, paired by seed: an answered question, or context.

    Context, a control that no question asks about, is run on few seeds: `outcome`, interval and `p_value` are None.
    """

    control: str
    trial: int
    outcome: Outcome | None
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    n_seeds: int


@dataclass(frozen=True)
class Verdict:
    """What the study found, in words and numbers.

    `nominee` is the trial the search picked, `recommended` the one to use, None where the evidence does not suffice.
    `margin` is the difference that does not matter and `margin_reason` where it comes from; None in studies of earlier
    versions.
    """

    sentence: str
    nominee: int | None
    recommended: int | None
    noise: Noise | None
    against: tuple[Against, ...]
    warnings: tuple[str, ...] = ()
    decision: Decision = "undecided"
    margin: float | None = None
    margin_reason: str = ""
    questions: tuple[Question, ...] = ()

    @property
    def seeds_to_settle(self) -> int | None:
        """Fresh seeds, in all, that are estimated to answer every open question; None where none is open."""
        return max((q.seeds_to_settle for q in self.questions if q.seeds_to_settle is not None), default=None)

    @property
    def exported(self) -> int | None:
        """The trial that is exported where none is named: the recommended one, or else the nominee."""
        return self.nominee if self.recommended is None else self.recommended

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal verdict back."""
        rows = {name: [asdict(row) for row in getattr(self, name)] for name in ("against", "questions")}
        return {**asdict(self), **rows, "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Verdict":
        """The verdict that `to_json` wrote, or an earlier version of mapsearch."""
        return cls(
            **{
                **data,
                "noise": Noise(**data["noise"]) if data["noise"] else None,
                "against": tuple(Against(**row) for row in data["against"]),
                "questions": tuple(Question(**row) for row in data.get("questions", ())),
                "warnings": tuple(data["warnings"]),
            }
        )
