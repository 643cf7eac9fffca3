"""Gram matrices of blocks of samples: how a batch is cut into blocks, and the products within each."""

from functools import cache

import torch
from torch import Tensor

MIN_MIRRORED = 2**23
"""Multiplications of a block of wide features from which a CPU is faster if it copies a quarter of the product."""


@cache
def block_sizes(n: int, block: int) -> tuple[tuple[int, int], ...]:
    """(number, size) of the blocks of `n` samples: as few as fit, larger ones first, none under four."""
    n_blocks = max(1, -(-n // block))
    small, n_large = divmod(n, n_blocks)
    cuts = (n_large, small + 1), (n_blocks - n_large, small)
    return tuple((count, size) for count, size in cuts if count and size >= 4)


def grams_of(rows: Tensor) -> Tensor:
    """`[blocks, size, D]` -> `[blocks, size, size]`, every sample of a block times every other."""
    _, size, width = rows.shape
    if rows.device.type != "cpu" or width < size or size**2 * width < MIN_MIRRORED:
        return torch.bmm(rows, rows.mT)
    half = size // 2
    upper, corner = torch.bmm(rows[:, :half], rows.mT), torch.bmm(rows[:, half:], rows[:, half:].mT)
    return torch.cat([upper, torch.cat([upper[..., half:].mT, corner], -1)], -2)
