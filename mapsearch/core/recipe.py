"""A recipe: a mapping and everything else that defines a distillation loss."""

import hashlib
import json
import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from mapsearch.core.errors import MappingError, did_you_mean
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.terms import FeatureTerm, pair_terms, row_terms
from mapsearch.display.html import table

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
OutputLossName = Literal[
    "kl", "dkd", "standardised_kl", "binary_kl", "mse", "huber", "cosine", "relational"
]  # fmt: skip
ProjectorName = Literal["linear", "mlp", "none"]
AggregationName = Literal["sum", "fuse", "mix"]
BalanceName = Literal["frozen", "uncertainty", "gate"]
ShareOf = Literal["loss", "gradient"]

RENAMED = {"logit_loss": "output_loss", "logit_weight": "output_weight"}
"""Fields as earlier versions of mapsearch wrote them -> their names."""


@dataclass(frozen=True)
class Recipe:
    """What `RecipeLoss` computes.

    `total = (1 - feature_share) * (task_weight * task + output_weight * output)
    + feature_share * sum_st W[s, t] * loss_st / scale_st`, with `W` normalised to sum to one.

    That is `aggregation="sum"`: each pair is matched on its own. `fuse` mixes the teacher features of
    a row by its weights and matches the mixture once; `mix` also learns those weights. `balance` says
    what happens to the terms' weights during training: `frozen` nothing, `uncertainty` learns a
    variance per term, `gate` holds back feature gradients that oppose the task's.

    `feature_share` is in [0, 1]; the article's 0.8 / 0.2 is `feature_share=0.8`. `share_of` says of what: of the
    loss, whose feature terms start at one each, or of the gradient at the student's parameters, as measured at the
    start, so that the share is what the features do to the student. `anneal` is the
    fraction of the schedule after which the feature term has faded to zero, in (0, 1]; None never fades.
    From the fraction `features_until` of the schedule on, in (0, 1], features no longer teach at all, faded or not.
    `temperature` divides both networks' logits, > 0. `lr_factor` multiplies the learning rate of the study, > 0: each
    recipe is trained at a rate of its own, or one that suits the rate would pass for a better one.

    Raises:
        MappingError: a value is out of its range, or a name is unknown.
    """

    mapping: LayerMapping = LayerMapping()
    loss: FeatureLossName = "nmse"
    projector: ProjectorName = "linear"
    aggregation: AggregationName = "sum"
    feature_share: float = 0.0
    task_weight: float = 1.0
    output_loss: OutputLossName = "kl"
    output_weight: float = 0.0
    temperature: float = 1.0
    anneal: float | None = 1.0
    balance: BalanceName = "frozen"
    share_of: ShareOf = "loss"
    features_until: float = 1.0
    lr_factor: float = 1.0

    def __post_init__(self) -> None:
        problems = [
            f"`{field}` must satisfy {rule}, but is {getattr(self, field)!r}"
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
        if not problems and self.features_until < 1 and (self.feature_share == 1 or not self._has_other_terms):
            rule = "`features_until < 1` needs `feature_share < 1` and a task loss or outputs"
            problems.append(f"{rule}, or nothing would teach after {self.features_until:g}")
        if problems:
            raise MappingError(*problems)
        for field, *_ in _RANGES:  # 1 and 1.0 are equal recipes, so they must have one fingerprint
            if getattr(self, field) is not None:
                object.__setattr__(self, field, float(getattr(self, field)) + 0.0)

    @property
    def feature_terms(self) -> tuple[FeatureTerm, ...]:
        """The terms of the feature loss: pairs if they are summed, else whole rows."""
        return pair_terms(self.mapping) if self.aggregation == "sum" else row_terms(self.mapping)

    @property
    def _has_other_terms(self) -> bool:
        return self.task_weight > 0 or self.output_weight > 0

    @property
    def uses_task(self) -> bool:
        """Whether the task's own loss is part of the loss."""
        return self.task_weight > 0

    @property
    def uses_outputs(self) -> bool:
        """Whether the loss needs the teacher's outputs."""
        return self.output_weight > 0 and self.feature_share < 1

    @property
    def uses_teacher(self) -> bool:
        """Whether the loss needs the teacher at all."""
        return self.uses_outputs or bool(self.mapping.pairs)

    def acting_until(self, fraction: float) -> "Recipe":
        """The recipe whose features, if it has any, teach up to that fraction of the schedule."""
        return replace(self, features_until=min(fraction, self.features_until)) if self.mapping.pairs else self

    @property
    def fingerprint(self) -> str:
        """12 hex digits, the same for equal recipes on every machine."""
        data = self.to_json()
        later = {"balance": "frozen", "share_of": "loss", "features_until": 1.0, "lr_factor": 1.0}
        for field, before in later.items():
            if data[field] == before:  # added later: recipes written before keep their fingerprint
                del data[field]
        return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """`{pairs, loss, …}`; `from_json` gives an equal recipe back."""
        fields = {field: getattr(self, field) for field in self.__dataclass_fields__ if field != "mapping"}
        return {"pairs": self.mapping.to_json(), **fields}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Recipe":
        """The recipe that `to_json` wrote, also that of an earlier version of mapsearch.

        Raises:
            MappingError: an unknown key, or a value that `Recipe` refuses.
        """
        data = {RENAMED.get(key, key): value for key, value in data.items()}
        known = ("pairs", *(field for field in cls.__dataclass_fields__ if field != "mapping"))
        unknown = [f"recipe has no `{key}`{did_you_mean(key, known)}" for key in data if key not in known]
        if unknown:
            raise MappingError(*unknown)
        fields = {key: value for key, value in data.items() if key != "pairs"}
        return cls(mapping=LayerMapping.from_json(data.get("pairs", ())), **fields)

    @property
    def feature_text(self) -> str:
        """What the features do: mapping, loss and share; empty where there are none."""
        kind = self.loss if self.aggregation == "sum" else f"{self.loss}, {self.aggregation}"
        of = " of the gradient" if self.share_of == "gradient" else ""
        return f"{self.mapping} ({kind}, share {self.feature_share:.2g}{of})" if self.mapping.pairs else ""

    @property
    def target_text(self) -> str:
        """What else teaches: the teacher's outputs, the task."""
        if not self.uses_outputs:
            return "" if self.mapping.pairs else "task only"
        outputs = f"outputs {self.output_loss} {self.output_weight:g}, temperature {self.temperature:g}"
        return outputs if self.uses_task else f"{outputs}, no task loss"

    @property
    def settings_text(self) -> str:
        """The learning rate and the balance, where they are not the study's own."""
        rate = f"lr x{self.lr_factor:g}" if self.lr_factor != 1 else ""
        return ", ".join(part for part in (rate, f"balance {self.balance}" * (self.balance != "frozen")) if part)

    def _repr_html_(self) -> str:
        """The mapping, and every setting that is not its default."""
        plain = Recipe(self.mapping, feature_share=self.feature_share)
        fields = [name for name in self.__dataclass_fields__ if name != "mapping"]
        changed = [name for name in fields if getattr(self, name) != getattr(plain, name)]
        shown = ["feature_share", *(name for name in changed if name != "feature_share")]
        settings = table(("setting", "value"), [(name, str(getattr(self, name))) for name in shown])
        return f"{self.mapping._repr_html_()}{settings}"

    def __str__(self) -> str:
        """One line for tables."""
        return ", ".join(part for part in (self.feature_text, self.target_text, self.settings_text) if part)


_RANGES = (
    ("feature_share", "0 <= feature_share <= 1", 0.0, 1.0),
    ("task_weight", "0 <= task_weight", 0.0, math.inf),
    ("output_weight", "0 <= output_weight", 0.0, math.inf),
    ("temperature", "0 < temperature <= 100", math.ulp(0.0), 100.0),
    ("anneal", "0 < anneal <= 1", math.ulp(0.0), 1.0),
    ("features_until", "0 < features_until <= 1", math.ulp(0.0), 1.0),
    ("lr_factor", "0 < lr_factor", math.ulp(0.0), math.inf),
)
NAMED_SETTINGS: dict[str, tuple[str, ...]] = {
    "loss": get_args(FeatureLossName),
    "projector": get_args(ProjectorName),
    "aggregation": get_args(AggregationName),
    "balance": get_args(BalanceName),
}
"""Settings of the features that are chosen by name, and every name."""
_CHOICES = {
    **NAMED_SETTINGS,
    "output_loss": get_args(OutputLossName),
    "share_of": get_args(ShareOf),
}


def _within(value: object, low: float, high: float) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and low <= value <= high
