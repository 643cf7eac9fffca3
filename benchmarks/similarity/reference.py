"""Linear CKA in numpy and float64, written out from the formulae; shares no line with what it judges."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def hsic(k: Array, m: Array) -> float:
    """Unbiased HSIC of two kernel matrices without their diagonals (Song et al. 2012, eq. 5)."""
    n = len(k)
    trace, totals, ends = np.vdot(k, m), k.sum() * m.sum(), k.sum(0) @ m.sum(0)
    return float((trace + totals / ((n - 1) * (n - 2)) - 2 * ends / (n - 2)) / (n * (n - 3)))


def debiased_cka(student: Sequence[Array], teacher: Sequence[Array], sizes: Sequence[int], by_rows: bool) -> Array:
    """HSIC averaged over consecutive blocks of rows before dividing, `[S, T]`; 0 where a layer is constant.

    Args:
        student: each layer's rows `[N, D]`.
        sizes: rows of each block; those under four are passed over.
        by_rows: blocks count by their rows (mapsearch); else equally (the public packages).
    """
    s, t = [_unit(rows) for rows in student], [_unit(rows) for rows in teacher]
    cross, own_s, own_t = np.zeros((len(s), len(t))), np.zeros(len(s)), np.zeros(len(t))
    start = 0
    for size in sizes:
        block = slice(start, start := start + size)
        if size >= 4:
            ks, ms = [_hollow(rows[block]) for rows in s], [_hollow(rows[block]) for rows in t]
            weight = size if by_rows else 1
            cross += weight * np.array([[hsic(k, m) for m in ms] for k in ks])
            own_s += weight * np.array([hsic(k, k) for k in ks])
            own_t += weight * np.array([hsic(m, m) for m in ms])
    norms = np.sqrt(np.outer(own_s, own_t))
    return np.divide(cross, norms, out=np.zeros_like(cross), where=norms > 0)


def biased_cka(x: Array, y: Array) -> float:
    """Kornblith et al. 2019, eq. 3 and 4."""
    k, m = ((rows - rows.mean(0)) @ (rows - rows.mean(0)).T for rows in (x, y))
    return float(np.vdot(k, m) / (np.linalg.norm(k) * np.linalg.norm(m)))


def near_equal(n: int, block: int) -> list[int]:
    """`n` rows cut into as few blocks of at most `block` as will do, larger ones first."""
    n_blocks = -(-n // block)
    return [n // n_blocks + (i < n % n_blocks) for i in range(n_blocks)]


def _unit(rows: Array) -> Array:
    """Centred, of variance one: HSIC's ratio does not change, and float64 keeps its digits."""
    if np.ptp(rows, axis=0).max() == 0:
        return np.zeros_like(rows)
    return (rows - rows.mean(0)) / rows.std()


def _hollow(rows: Array) -> Array:
    rows = rows - rows.mean(0)
    gram = rows @ rows.T
    np.fill_diagonal(gram, 0.0)
    return gram
