"""What each feature loss compares, from which follows which pairs are legal and which need a projector."""

from dataclasses import dataclass
from typing import Literal

from mapsearch.core.recipe import FeatureLossName, OutputLossName

Compared = Literal["channels", "positions", "tokens", "samples"]
"""What a loss compares of two features.

`channels`: channel by channel at each position, so both need the same width (a projector provides it) and the
same positions. `positions`: something per position, whatever the widths. `tokens`: the relations
between the tokens of a sample, whatever the widths. `samples`: the relations between the samples
of a batch, whatever the widths, positions and kinds.
"""


@dataclass(frozen=True)
class LossTraits:
    """What a feature loss requires of its features.

    `min_samples` is the smallest batch from which anything can be learned. `min_scale` bounds the scale
    that a pair's loss is divided by: a pair whose features are nearly equal at the start, such as a layer
    and its copy, would be blown up as soon as it moves, and outweigh all others. It is about a twentieth to a
    tenth of the loss between unrelated features, and smaller where that depends on their shape. It is times the
    teacher's variance where the loss is `in_teacher_units`.
    """

    compares: Compared
    min_samples: int = 1
    min_scale: float = 0.1
    in_teacher_units: bool = False
    learns_variance: bool = False

    @property
    def projected(self) -> bool:
        """Whether the loss needs equal widths. If not, there is no projector, so that none can stay untrained."""
        return self.compares == "channels"

    @property
    def aligned(self) -> bool:
        """Whether both features are first resampled to the same positions."""
        return self.compares != "samples"


LOSS_TRAITS: dict[FeatureLossName, LossTraits] = {
    "nmse": LossTraits("channels"),
    "mse": LossTraits("channels", in_teacher_units=True),
    "cosine": LossTraits("channels"),
    "vid": LossTraits("channels", learns_variance=True),
    "attention": LossTraits("positions", min_scale=5e-3),
    "nst": LossTraits("positions", min_scale=1e-4),  # about 1 / channels
    "attention_relation": LossTraits("tokens"),
    "gram": LossTraits("samples", min_samples=2, min_scale=1e-3),
    # two samples have one distance, which is the mean one; the scale of these three is about 1 / channels
    "relational_distance": LossTraits("samples", min_samples=3, min_scale=1e-5),
    "relational_angle": LossTraits("samples", min_samples=3, min_scale=1e-5),
    "pkt": LossTraits("samples", min_samples=3, min_scale=1e-5),
    "cka": LossTraits("samples", min_samples=4),
}

OUTPUT_LOSS_FUNCTIONS: dict[OutputLossName, str] = {
    "kl": "kl",
    "dkd": "dkd",
    "standardised_kl": "standardised_kl",
    "binary_kl": "binary_kl",
    "mse": "logit_mse",
    "huber": "huber",
    "cosine": "cosine_distance",
    "relational": "relational",
}
"""The function that computes each output loss; a feature loss has the name of its function."""
