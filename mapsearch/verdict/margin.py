"""The difference that does not matter, frozen before anything is confirmed."""

from collections.abc import Sequence
from statistics import fmean

SHARE_OF_DISTANCE = 0.05
SHARE_OF_SIZE = 0.01


def frozen_margin(stated: float | None, teacher: float, alone: Sequence[float], direction: str) -> tuple[float, str]:
    """The margin and where it comes from.

    Args:
        stated: what the study file says.
        teacher: the teacher's metric on the validation data.
        alone: that of full runs without features, on the same data.
    """
    if stated is not None:
        return stated, "as stated in the study file"
    if not alone:
        return 0.0, "none: nothing without features was trained to measure it by"
    mean = fmean(alone)
    distance = teacher - mean if direction == "maximize" else mean - teacher
    if distance > 0:
        why = (
            f"the distance from training without features ({mean:.4g}) to the teacher ({teacher:.4g}), validation data"
        )
        return SHARE_OF_DISTANCE * distance, f"{SHARE_OF_DISTANCE:.0%} of {why}; state `margin` for your own"
    why = f"the metric ({mean:.4g}), as the teacher ({teacher:.4g}) is no better"
    return SHARE_OF_SIZE * abs(mean), f"{SHARE_OF_SIZE:.0%} of {why}; state `margin` for your own"
