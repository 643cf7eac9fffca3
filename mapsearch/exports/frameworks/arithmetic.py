"""Arithmetic in which a loss computed twice is the same twice, on any device."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mapsearch.tasks.precision import Precision, forward_precision

TOLERANCE = {"float32": 1e-5, "bfloat16": 1e-3}
"""Largest relative difference that counts as equal for one recipe on one device: sums in another order."""
LOOSE_TOLERANCE = {"float32": 5e-3, "auto": 3e-2, "bfloat16": 3e-2}
"""Largest one that another device, TF32, bfloat16 or another memory format may make in a trial of that precision;
`auto` may have been bfloat16 where the trial ran."""


@contextmanager
def without_tf32() -> Iterator[None]:
    """Matrix products and convolutions in full float32, whatever the user's code has asked for."""
    products, convolutions = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(products)
        torch.backends.cudnn.allow_tf32 = convolutions


def tolerance(precision: Precision, device: torch.device) -> float:
    """What counts as equal between two losses of one recipe here."""
    with forward_precision(precision, device):
        return TOLERANCE["bfloat16" if torch.is_autocast_enabled(device.type) else "float32"]
