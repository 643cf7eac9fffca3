"""In which numbers networks compute: float32, or bfloat16 where that is exact enough and faster; TF32 or not."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import torch
from torch import nn

from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.user_code import no_exit

Precision = Literal["auto", "float32", "bfloat16"]


def forward_precision(precision: Precision, device: torch.device) -> torch.autocast:
    """The context of a forward pass; weights, losses and the optimizer stay in float32.

    `auto` is bfloat16 on a GPU that computes in it and float32 elsewhere. A CPU with bfloat16
    instructions may gain as well; ask for it by name.
    """
    return torch.autocast(device.type, torch.bfloat16, enabled=uses_bfloat16(precision, device))


def uses_bfloat16(precision: Precision, device: torch.device) -> bool:
    """Whether forward passes compute in bfloat16 where they may."""
    has_it = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bfloat16" or (precision == "auto" and has_it)


class Forward(Protocol):
    """Runs a network on a batch."""

    def __call__(self, model: nn.Module, batch: Any) -> Any:
        """The network's output."""


def forward_in(precision: Precision, loaded: LoadedTask) -> Forward:
    """The task's `forward(model, batch)` in this precision: what every look at a network goes through."""

    def forward(model: nn.Module, batch: Any) -> Any:
        with no_exit("`forward`"), forward_precision(precision, loaded.device):
            return loaded.task.forward(model, batch)

    return forward


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
