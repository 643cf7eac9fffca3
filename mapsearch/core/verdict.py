"""The verdict of a study: questions with their answers, what to use, and how large seed noise is."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from mapsearch.core.text import printable
from mapsearch.display.frames import frame
from mapsearch.display.html import line, table
from mapsearch.display.pictures import Interval, draw_intervals

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
    `n_steps` are the steps of a control that trains for more of them than the others, else None.
    """

    control: str
    trial: int
    outcome: Outcome | None
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    n_seeds: int
    n_steps: int | None = None

    @property
    def label(self) -> str:
        """The control, with its steps where it trains for more of them than the others."""
        return f"{self.control} ({self.n_steps} steps)" if self.n_steps else self.control


@dataclass(frozen=True)
class Verdict:
    """What the study found, in words and numbers.

    `nominee` is the trial the search picked, `recommended` the one to use, None where the evidence does not suffice.
    `margin` is the difference that does not matter and `margin_reason` where it comes from; None in studies of earlier
    versions. `error_share` is the part of the study's 5 % at which this nominee was judged: below one where earlier
    nominees were judged before it, so that all of them together keep to 5 %.
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
    error_share: float = 1.0

    @property
    def seeds_to_settle(self) -> int | None:
        """Fresh seeds, in all, that are estimated to answer every open question; None where none is open."""
        return max((q.seeds_to_settle for q in self.questions if q.seeds_to_settle is not None), default=None)

    @property
    def exported(self) -> int | None:
        """The trial that is exported where none is named: the recommended one, or else the nominee."""
        return self.nominee if self.recommended is None else self.recommended

    def _repr_html_(self) -> str:
        """The sentence, the questions with their answers, and what to heed."""
        rows = [
            (
                f"{q.subject} against {q.control}", q.outcome or f"not asked: {q.why_not}", _signed(q.difference),
                f"{_signed(q.low)} .. {_signed(q.high)}" if q.low is not None else "-", str(q.n_seeds),
            )
            for q in self.questions
        ]  # fmt: skip
        heads = ("question", "outcome", "gain", "95 % interval", "seeds")
        warnings = "".join(line(f"warning: {printable(text)}") for text in self.warnings)
        return f"{line(printable(self.sentence))}{table(heads, rows) if rows else ''}{warnings}"

    def plot(self, axes: Any = None) -> Any:
        """The gains that were asked about and those that are context, around the margin; gives the axes.

        Raises:
            ImportError: matplotlib is not installed.
        """
        asked = [q for q in self.questions if q.difference is not None and q.subject == "nominee"]
        rows = [Interval(f"against {q.control}", q.difference or 0.0, q.low, q.high) for q in asked]
        known = {q.control for q in asked}
        rows += [Interval(row.label, row.difference) for row in self.against if row.control not in known]
        return draw_intervals(rows, "gain of the nominee, + is better", self.margin, axes)

    def to_frame(self) -> Any:
        """A data frame with a row for each question.

        Raises:
            ImportError: pandas is not installed.
        """
        return frame([asdict(question) for question in self.questions])

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


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4f}"
