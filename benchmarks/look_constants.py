"""The constants of `mapsearch/verdict/looks.py`: how many standard errors an interval takes at every look.

    nice python -m benchmarks.look_constants [--paths 20000000]

Normal paths without a gain; the error spent by look n is `alpha (1 - 3.5 / n)` a side. At each look the constant is the
quantile of |t| among the paths not yet called. One row for each alpha: 0.05 (ties) and its halves, for wins and for
the nominees that come after a first one.
"""

import argparse
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mapsearch.core.looks import LOOKS

ALPHAS = tuple(0.05 / 2**k for k in range(8))


def constants(n_paths: int, alphas: Sequence[float] = ALPHAS, looks: Sequence[int] = LOOKS) -> list[list[float]]:
    """For each alpha, from the largest down, the constant of each look."""
    rng = np.random.default_rng(0)
    total, squares = np.zeros(n_paths), np.zeros(n_paths)
    left = [np.ones(n_paths, bool) for _ in alphas]
    found: list[list[float]] = [[] for _ in alphas]
    for before, n in pairwise((0, *looks)):
        for _ in range(n - before):
            new = rng.standard_normal(n_paths)
            total += new
            squares += new * new
        t = np.abs(total) / np.sqrt(n * (squares - total * total / n) / (n - 1))
        for alpha, alive, row in zip(alphas, left, found, strict=True):
            n_called = n_paths - np.count_nonzero(alive)
            n_to_call = round(2 * alpha * (1 - 3.5 / n) * n_paths) - n_called
            row.append(_exceeded_by(t[alive], n_to_call))
            alive &= t <= row[-1]
    return found


def _exceeded_by(values: NDArray[np.float64], n: int) -> float:
    """The value that `n` of these exceed."""
    return float(np.partition(values, -n - 1)[-n - 1])


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paths", type=int, default=20_000_000, help="simulated paths; a million take 40 MB")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 200,000 paths")
    asked = parser.parse_args()
    for alpha, row in zip(ALPHAS, constants(200_000 if asked.quick else asked.paths), strict=True):
        print(f"alpha {alpha:.6f}: {', '.join(f'{c:.2f}' for c in row)}")


if __name__ == "__main__":
    main()
