"""What each feature loss compares: from it follow which pairs are legal and which need a projector."""

from dataclasses import dataclass
from typing import Literal

from mapsearch.core.recipe import FeatureLossName

Compared = Literal["channels", "positions", "tokens", "samples"]
"""What of two features is held side by side.

`channels`: channel by channel at each position, so both need one width (a projector makes it) and the
same positions. `positions`: something per position, whatever the widths. `tokens`: the relations
between the tokens of a sample, whatever the widths. `samples`: the relations between the samples
of a batch, whatever the widths, positions and kinds.
"""


@dataclass(frozen=True)
class LossTraits:
    """How a feature loss meets its features.

    `least_samples` is the smallest batch that teaches anything. `least_scale` is a value so small that the
    features are nearly equal: a pair that starts there must not be blown up by dividing through it. It is
    lower for losses that are small between any two features.
    """

    compares: Compared
    least_samples: int = 1
    least_scale: float = 1e-3
    learns_variance: bool = False

    @property
    def projected(self) -> bool:
        """Whether the loss wants equal widths; if not it gets no projector, so that nothing untrained hides."""
        return self.compares == "channels"

    @property
    def aligned(self) -> bool:
        """Whether both features are brought to the same positions first."""
        return self.compares != "samples"


LOSS_TRAITS: dict[FeatureLossName, LossTraits] = {
    "nmse": LossTraits("channels"),
    "mse": LossTraits("channels", least_scale=1e-8),  # in the teacher's own unit
    "cosine": LossTraits("channels"),
    "vid": LossTraits("channels", learns_variance=True),
    "attention": LossTraits("positions"),
    "nst": LossTraits("positions", least_scale=1e-5),  # about 1 / channels
    "attention_relation": LossTraits("tokens"),
    "gram": LossTraits("samples", least_samples=2),
    # among two samples there is one distance, always the mean one; about 1 / channels the following three
    "relational_distance": LossTraits("samples", least_samples=3, least_scale=1e-5),
    "relational_angle": LossTraits("samples", least_samples=3, least_scale=1e-5),
    "pkt": LossTraits("samples", least_samples=3, least_scale=1e-5),
    "cka": LossTraits("samples", least_samples=4),
}
