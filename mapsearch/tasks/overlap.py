"""Samples that two datasets share, found by the content of their inputs."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mapsearch.tasks.task import inputs_of

MOST_SAMPLES = 20_000


def input_digests(data: Any) -> list[bytes]:
    """A digest of each sample's inputs, labels left out, of at most 20,000 samples spread over the data.

    Samples whose inputs have no plain bytes, such as objects of the user's own, are passed over.
    """
    n = len(data)
    chosen = range(n) if n <= MOST_SAMPLES else [i * n // MOST_SAMPLES for i in range(MOST_SAMPLES)]
    found = (_digest(data[i]) for i in chosen)
    return [digest for digest in found if digest is not None]


def _digest(sample: Any) -> bytes | None:
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
