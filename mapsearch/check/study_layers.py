"""The layers of a study's networks, as two batches of different size show them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from mapsearch.core.layers import Kind, Layer
from mapsearch.features.layers import list_layers, probed_twice
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.nested import batch_size
from mapsearch.tasks.precision import Precision, forward_in


def study_layers(
    loaded: LoadedTask, precision: Precision, model: nn.Module, batch: Any, kinds: Mapping[str, Kind]
) -> tuple[Layer, ...]:
    """All layers of one of the networks; what a smaller batch shows to be no batch axis is a problem of its layer."""
    n, forward = batch_size(batch), forward_in(precision, loaded)
    n_fewer = max(1, n // 2)
    listed = list_layers(model, partial(forward, batch=batch), n, kinds)
    if n_fewer == n:
        return listed
    smaller = next(ordered_batches(loaded, loaded.train, n_fewer, n_fewer))
    return probed_twice(listed, list_layers(model, partial(forward, batch=smaller), n_fewer, kinds), n, n_fewer)
