"""The measures that are worked out from moments, by name and estimator."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from mapsearch.measures import moments


@dataclass(frozen=True)
class MomentMeasure:
    """What a measure wants of each layer's own moments, and what it makes of that and the pair's."""

    of_layer: Callable[[Tensor], Tensor]
    of_pair: Callable[[Tensor, Tensor, Tensor], Tensor]


MOMENT_MEASURES: dict[str, dict[str, MomentMeasure]] = {
    "cka": {
        "debiased": MomentMeasure(moments.debiased_norm, moments.debiased_cka),
        "biased": MomentMeasure(moments.biased_norm, moments.biased_cka),
    },
    # nobody knows how to remove the bias of these two
    "procrustes": {"biased": MomentMeasure(moments.variance, moments.procrustes)},
    "svcca": {"biased": MomentMeasure(moments.whitening, moments.svcca)},
}
