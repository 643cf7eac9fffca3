"""The verdict of a study: the nominee against each control, and how large seed noise is."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Outcome = Literal["BEATS", "TIES", "WORSE", "INCONCLUSIVE"]


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
        return {**asdict(self), "against": [asdict(row) for row in self.against], "warnings": list(self.warnings)}

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
