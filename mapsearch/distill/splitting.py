"""What becomes of a cohort that does not fit into memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mapsearch.core.runs import Cohort, RunPlan

MIN_PART_SAMPLES = 2
"""Fewest samples of a micro-batch: batch norm has no statistics of one."""


@dataclass(frozen=True)
class CohortSplit:
    """A cohort did not fit; what is left of it is to be trained as these smaller cohorts, best in a new process."""

    cohorts: tuple[Cohort, ...]
    error: str


def halves(plans: Sequence[RunPlan], batch_size: int) -> tuple[Cohort, ...]:
    """The cohort in two; a lone run with its batches in twice as many parts; nothing when neither can be done."""
    if len(plans) > 1:
        middle = len(plans) // 2
        return tuple(plans[:middle]), tuple(plans[middle:])
    n_parts = 2 * plans[0].n_parts
    return ((replace(plans[0], n_parts=n_parts),),) if batch_size // n_parts >= MIN_PART_SAMPLES else ()


def slices(plans: Sequence[RunPlan], size: int) -> tuple[Cohort, ...]:
    """Cohorts of at most that size."""
    return tuple(tuple(plans[i : i + size]) for i in range(0, len(plans), size))
