"""Arithmetic in which a loss computed twice is the same twice, on any device."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

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
    before, older = [each.fp32_precision for each in _settings()], _older_settings()
    if older is None:
        _set_each(["ieee"] * len(before))
    else:
        _set_older("highest", False)
    try:
        yield
    finally:
        if older is not None:
            _set_older(*older)
        _set_each(before)  # the older way sets more than one at once


def _settings() -> tuple[Any, ...]:
    cuda, cudnn, mkldnn = torch.backends.cuda, torch.backends.cudnn, torch.backends.mkldnn
    return (cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv, mkldnn.rnn)  # type: ignore[attr-defined]


def _set_each(precisions: Sequence[str]) -> None:
    for setting, precision in zip(_settings(), precisions, strict=True):
        setting.fp32_precision = precision


def _older_settings() -> tuple[str, bool] | None:
    """Those of PyTorch's older switches; None where the user's code has set one of the newer, with which they clash."""
    try:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return None


def _set_older(products: str, convolutions: bool) -> None:
    torch.set_float32_matmul_precision(products)
    torch.backends.cudnn.allow_tf32 = convolutions


def tolerance(precision: Precision, device: torch.device) -> float:
    """What counts as equal between two losses of one recipe here."""
    with forward_precision(precision, device):
        return TOLERANCE["bfloat16" if torch.is_autocast_enabled(device.type) else "float32"]
