"""A recipe: a mapping plus everything else a distillation loss needs."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from mapsearch.core.errors import MappingError, did_you_mean
from mapsearch.core.mapping import LayerMapping

FeatureLossName = Literal[
    "nmse",
    "mse",
    "cosine",
    "vid",
    "attention",
    "nst",
    "attention_relation",
    "gram",
    "relational_distance",
    "relational_angle",
    "pkt",
    "cka",
]
LogitLossName = Literal["kl", "dkd", "standardised_kl", "mse"]
ProjectorName = Literal["linear", "mlp", "none"]
AggregationName = Literal["sum"]


@dataclass(frozen=True)
class Recipe:
    """What `RecipeLoss` computes.

    `total = (1 - feature_share) * (task_weight * task + logit_weight * temperature^2 * KL)
    + feature_share * sum_st W[s, t] * loss_st / scale_st`, with `W` normalised to sum to one.

    `feature_share` is in [0, 1]; the article's 0.8 / 0.2 is `feature_share=0.8`. `anneal` is the
    fraction of the schedule after which the feature term has faded to zero, in (0, 1]; None never fades.
    `temperature` softens both networks' logits, > 0.

    Raises:
        MappingError: a value is out of its range, or a name is unknown.
    """

    mapping: LayerMapping = LayerMapping()
    loss: FeatureLossName = "nmse"
    projector: ProjectorName = "linear"
    aggregation: AggregationName = "sum"
    feature_share: float = 0.0
    task_weight: float = 1.0
    logit_loss: LogitLossName = "kl"
    logit_weight: float = 0.0
    temperature: float = 1.0
    anneal: float | None = 1.0

    def __post_init__(self) -> None:
        problems = [
            f"`{field}`: {rule} must hold, but got {getattr(self, field)!r}"
            for field, rule, low, high in _RANGES
            if not (_within(getattr(self, field), low, high) or (field, getattr(self, field)) == ("anneal", None))
        ]
        for field, names in _CHOICES.items():
            if getattr(self, field) not in names:
                hint = did_you_mean(str(getattr(self, field)), names)
                problems.append(f"`{field}` must be one of {', '.join(names)}, but got {getattr(self, field)!r}{hint}")
        if not problems and (self.feature_share > 0) != bool(self.mapping.pairs):
            problems.append(
                "`feature_share > 0` and at least one pair go together, but got "
                f"feature_share={self.feature_share} with {len(self.mapping.pairs)} pairs"
            )
        if problems:
            raise MappingError(*problems)
        for field, *_ in _RANGES:  # 1 and 1.0 are equal recipes, so they must have one fingerprint
            if getattr(self, field) is not None:
                object.__setattr__(self, field, float(getattr(self, field)) + 0.0)

    @property
    def uses_logits(self) -> bool:
        """Whether the teacher's logits are needed."""
        return self.logit_weight > 0 and self.feature_share < 1

    @property
    def uses_teacher(self) -> bool:
        """Whether the teacher is needed at all."""
        return self.uses_logits or bool(self.mapping.pairs)

    @property
    def fingerprint(self) -> str:
        """12 hex digits, the same for equal recipes on every machine."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """`{pairs, loss, …}`; `from_json` gives an equal recipe back."""
        fields = asdict(self)
        del fields["mapping"]
        return {"pairs": self.mapping.to_json(), **fields}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Recipe":
        """The recipe that `to_json` wrote.

        Raises:
            MappingError: an unknown key, or a value that `Recipe` refuses.
        """
        known = ("pairs", *(field for field in cls.__dataclass_fields__ if field != "mapping"))
        unknown = [f"recipe has no `{key}`{did_you_mean(key, known)}" for key in data if key not in known]
        if unknown:
            raise MappingError(*unknown)
        fields = {key: value for key, value in data.items() if key != "pairs"}
        return cls(mapping=LayerMapping.from_json(data.get("pairs", ())), **fields)

    def __str__(self) -> str:
        """One line for tables."""
        logits = f"logits {self.logit_weight:g} at temperature {self.temperature:g}" if self.uses_logits else ""
        if self.logit_loss != "kl" and logits:
            logits = f"{self.logit_loss} {logits}"
        features = f"{self.mapping} ({self.loss}, share {self.feature_share:.2g})" if self.mapping.pairs else ""
        return ", ".join(part for part in (features, logits) if part) or "task only"


_RANGES = (
    ("feature_share", "0 <= feature_share <= 1", 0.0, 1.0),
    ("task_weight", "0 <= task_weight", 0.0, math.inf),
    ("logit_weight", "0 <= logit_weight", 0.0, math.inf),
    ("temperature", "0 < temperature <= 100", math.ulp(0.0), 100.0),
    ("anneal", "0 < anneal <= 1", math.ulp(0.0), 1.0),
)
_CHOICES = {
    "loss": get_args(FeatureLossName),
    "projector": get_args(ProjectorName),
    "aggregation": get_args(AggregationName),
    "logit_loss": get_args(LogitLossName),
}


def _within(value: object, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and low <= value <= high
