"""Tests that need a CUDA device, run by `python -m pytest -m cuda`; without a device they are skipped.

`MAPSEARCH_TEST_DEVICE=cpu` runs those that can on the CPU, so that a mistake in a test is found without a card.
"""

import os
from collections.abc import Iterator

import pytest
import torch

DEVICE = os.environ.get("MAPSEARCH_TEST_DEVICE", "cuda")


@pytest.fixture
def device() -> str:
    """The device under test."""
    if DEVICE == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    return DEVICE


@pytest.fixture
def cuda(device: str) -> str:
    """The device, where only CUDA will do."""
    if device != "cuda":
        pytest.skip("only on a CUDA device")
    return device


@pytest.fixture
def exact() -> Iterator[None]:
    """Convolutions and products in float32 throughout, as a CPU computes them."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.fixture
def rounded_products() -> Iterator[None]:
    """Products in TF32, as user code may ask for."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    yield
    torch.set_float32_matmul_precision(before)
