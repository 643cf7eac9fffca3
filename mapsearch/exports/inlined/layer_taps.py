"""Aliases of layers, for trainers that take a layer once."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn


def add_taps(model: nn.Module, paths: Sequence[str]) -> None:
    """Give the layer at place `k` an empty child `tap{k}`, which repeats the output of the layer.

    A layer that is at several places gets as many. Where the output is a tuple, its first item is repeated. State
    dicts stay as they are.
    """
    for place, path in enumerate(paths):
        layer, tap = model.get_submodule(path), nn.Identity()
        layer.add_module(f"tap{place}", tap)
        layer.register_forward_hook(partial(run_tap, tap))


def run_tap(tap: nn.Module, layer: nn.Module, args: Any, output: Any) -> None:
    """Pass the layer's output on to its alias."""
    tap(output[0] if isinstance(output, tuple) else output)
