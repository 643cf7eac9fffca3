"""Warnings to read with a verdict."""

from collections.abc import Sequence
from math import fsum
from statistics import median

from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial

LEAST_GRADIENT_SHARE = 0.05
"""Below this share of the gradient, features hardly steer a student."""


def weak_teacher(teacher: float, trials: Sequence[Trial], runs: Sequence[Run], direction: str) -> list[str]:
    """A warning when the teacher is no better than students trained without it, on the validation data."""
    alone = {trial.number for trial in trials if not trial.recipe.uses_teacher}
    values = [run.value for run in runs if run.trial in alone and run.split == "valid" and run.value is not None]
    if not values:
        return []
    best = max(values) if direction == "maximize" else min(values)
    if (teacher > best) if direction == "maximize" else (teacher < best):
        return []
    return [
        f"the teacher ({teacher:.4g}) is no better than a student without it ({best:.4g}): check its weights and inputs"
    ]


def idle_features(nominee: int, runs: Sequence[Run]) -> list[str]:
    """A warning when the nominee's features hardly steered its students, as measured at their first steps."""
    shares = [fsum(run.result.gradient_shares) for run in runs if run.trial == nominee and run.result]
    if not shares or median(shares) >= LEAST_GRADIENT_SHARE:
        return []
    way_out = "`space.share_of: gradient` makes shares mean what they say"
    sent = f"the nominee's features send {median(shares):.1%} of the gradient at the start"
    return [f"{sent}: they were hardly tried; {way_out}"]
