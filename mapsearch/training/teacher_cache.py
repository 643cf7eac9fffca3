"""What the teacher gave for each training sample, found again by the sample's index and content."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mapsearch.features.cache import FeatureCache
from mapsearch.tasks.loading_ahead import Drawn
from mapsearch.tasks.sample_digests import KnownDigests


@dataclass(frozen=True)
class TeacherCache:
    """The teacher's features of the samples of one dataset, and what those samples held."""

    features: FeatureCache
    digests: KnownDigests

    def outputs(self, names: Sequence[str], drawn: Drawn, run: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """The teacher's features of these names for the batch: kept ones, else what `run` gives, kept from then on."""
        is_kept = not self.features.refused.keys() & set(names)
        digests = self.digests.of(drawn.batch, drawn.chosen) if is_kept else None
        if digests is None:
            return run()
        ids = torch.tensor(drawn.chosen)
        outputs = self.features.get(names, ids, digests)
        if outputs is None:
            outputs = run()
            self.features.put(outputs, ids, digests)
        return outputs
