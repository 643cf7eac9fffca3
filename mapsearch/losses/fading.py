"""How the feature part of a loss fades over a training."""

from math import cos, pi


def fade(anneal: float | None, until: float, progress: float) -> float:
    """Factor of the feature loss: half a cosine from one to zero at `anneal` (None: one), and zero from `until` on."""
    if progress >= until < 1:
        return 0.0
    return 1.0 if anneal is None else 0.5 * (1 + cos(pi * min(1.0, progress / anneal)))
