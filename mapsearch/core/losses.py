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
    that a pair's loss is divided by: a pair whose features are nearly equal at the start must not be blown
    up. It is lower for losses that are small between any two features.
    """

    compares: Compared
    min_samples: int = 1
    min_scale: float = 1e-3
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
    "mse": LossTraits("channels", min_scale=1e-8),  # in the teacher's own unit
    "cosine": LossTraits("channels"),
    "vid": LossTraits("channels", learns_variance=True),
    "attention": LossTraits("positions"),
    "nst": LossTraits("positions", min_scale=1e-5),  # about 1 / channels
    "attention_relation": LossTraits("tokens"),
    "gram": LossTraits("samples", min_samples=2),
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
