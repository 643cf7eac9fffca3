"""The layers of a study's networks, as two batches of different size show them."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.layers import Kind, Layer
from mapsearch.core.masks import sequence_of
from mapsearch.core.space import patches_of
from mapsearch.features.layers import layer_shapes, list_layers, probed_twice
from mapsearch.features.layouts import layout_of, samples_first
from mapsearch.features.taps import FeatureTaps
from mapsearch.tasks.batches import collated, ordered_batches
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.nested import batch_size, tensors_of, to_device
from mapsearch.tasks.precision import Precision, forward_in
from mapsearch.tasks.task import inputs_of
from mapsearch.tasks.user_code import user_code

SAME = 1e-2
"""Relative difference of norms up to which a sample's features are the same in two batches, also in bfloat16."""


def study_layers(
    loaded: LoadedTask, precision: Precision, model: nn.Module, batch: Any, kinds: Mapping[str, Kind]
) -> tuple[Layer, ...]:
    """All layers of one of the networks; what a smaller batch shows to be no batch axis is a problem of its layer.

    Where the batch is on another axis, or has several rows per sample, it is read so, and the layer's name says it.
    """
    n, forward = batch_size(batch), forward_in(precision, loaded)
    n_fewer = max(1, n // 2)
    if n_fewer == n:
        return _described(loaded, list_layers(model, partial(forward, batch=batch), n, kinds), batch)
    smaller = next(ordered_batches(loaded, loaded.train, n_fewer, n_fewer))
    layouts = _layouts(loaded, precision, model, batch, smaller)
    listed, again = (
        list_layers(model, partial(forward, batch=x), size, kinds, layouts)
        for x, size in ((batch, n), (smaller, n_fewer))
    )
    return _described(loaded, probed_twice(listed, again, n, n_fewer), batch)


def _described(loaded: LoadedTask, layers: tuple[Layer, ...], batch: Any) -> tuple[Layer, ...]:
    """The layers, with what is known of their tokens: patches of images, or which of several sequences they are of."""
    image = _image_size(batch)
    with user_code("`mask(batch)`"):
        masks = loaded.task.mask(batch)
    return tuple(
        replace(
            layer,
            patches=patches_of(layer.positions[0], *image) if image else None,
            sequence=sequence_of(masks, layer.path),
        )
        if layer.kind == "tokens"
        else layer
        for layer in layers
    )


def _image_size(batch: Any) -> tuple[int, int] | None:
    """Height and width where the networks see nothing but images."""
    shapes = [tensor.shape for tensor in tensors_of(inputs_of(batch))]
    return (shapes[0][2], shapes[0][3]) if len(shapes) == 1 and len(shapes[0]) == 4 else None


def _layouts(loaded: LoadedTask, precision: Precision, model: nn.Module, batch: Any, smaller: Any) -> dict[str, str]:
    """How the batch lies in layers where it is not the first axis, by name."""
    forward = forward_in(precision, loaded)
    shapes, fewer = (layer_shapes(model, partial(forward, batch=x)) for x in (batch, smaller))
    sizes = batch_size(batch), batch_size(smaller)
    layouts = {
        name: layout
        for name, shape in shapes.items()
        if (layout := layout_of(shape, sizes[0], fewer.get(name, ()), sizes[1]))
    }
    return _shown_by_values(loaded, precision, model, layouts, *sizes) if layouts else {}


@torch.no_grad()
def _shown_by_values(
    loaded: LoadedTask, precision: Precision, model: nn.Module, layouts: dict[str, str], n: int, n_fewer: int
) -> dict[str, str]:
    """The layouts in which `n_fewer` samples have the features that they have as the first of `n`."""
    features, forward, mode = [], forward_in(precision, loaded), model.training
    for size in (n, n_fewer):
        with FeatureTaps(model, layouts, copied=layouts) as taps:
            forward(model.eval(), to_device(collated(loaded, loaded.train, range(size)), loaded.device))
            features.append(taps.take())
    model.train(mode)
    return {
        name: layout
        for name, layout in layouts.items()
        if _begins_with(*(samples_first(of_batch[name], layout) for of_batch in features))
    }


def _begins_with(larger: Tensor, smaller: Tensor) -> bool:
    """Whether the first samples are the same, over the positions that both batches have."""
    common = tuple(slice(min(sizes)) for sizes in zip(larger.shape, smaller.shape, strict=True))
    a, b = larger[common].double(), smaller[common].double()
    return bool((a - b).norm() <= SAME * b.norm())
