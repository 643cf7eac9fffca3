"""Samples that two datasets share, found by the content of their inputs."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mapsearch.tasks.task import inputs_of


def input_digest(sample: Any) -> bytes | None:
    """A digest of a sample's inputs, labels left out; None where they have no plain bytes, as objects of a task's own.

    Equal digests are equal inputs: that is how samples that two data sets share are found.
    """
    inputs = inputs_of(sample)
    parts = _parts(sample if isinstance(inputs, (int, float)) else inputs)  # a list of ids is the input as a whole
    known = [part for part in parts if part is not None]
    return hashlib.sha256(b"|".join(known)).digest() if len(known) == len(parts) else None


def _parts(value: Any) -> list[bytes | None]:
    if isinstance(value, Mapping):
        return [part for key in sorted(value) for part in _parts(value[key])]
    if isinstance(value, Tensor):
        value = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    try:
        array = np.asarray(value)  # a tensor's bytes, an array, an image, a text, a list of ids
    except ValueError:
        return [None]
    return [None if array.dtype.hasobject else array.tobytes()]
