"""What the sums over all samples cost, in memory and operations, and when they are the cheaper way."""

from collections.abc import Sequence

from mapsearch.measures.estimate import MIN_GROUPS

MAX_SUMS_BYTES = 2**30
"""Bytes that the sums of one comparison may take."""
CHEAP_SUMS_BYTES = 32 * 2**20
"""Bytes up to which sums of all pairs are chosen for being cheap."""
GROUPS_AND_SHUFFLES = ((8, 8), (MIN_GROUPS, 4), (1, 2))
"""Groups of samples for the jackknife, and shuffles for the floors: the most that fit the budget."""
FLOAT64_COST = 3.0
"""What an operation in float64 costs against one in float32 with products of this form (2 to 3.4 on a CPU)."""


def cheaper_than_blocks(student_widths: Sequence[int], teacher_widths: Sequence[int], block: int) -> bool:
    """Whether debiased CKA of all samples costs fewer operations than blocks of `block`, and little memory.

    Per sample `2 D_s D_t + 2 sum d^2` in float64 against `2 block (D_s + D_t + S T)` in float32.
    """
    d_s, d_t = sum(student_widths), sum(teacher_widths)
    own = sum(width**2 for width in (*student_widths, *teacher_widths))
    in_blocks = block * (d_s + d_t + len(student_widths) * len(teacher_widths))
    return (
        FLOAT64_COST * (d_s * d_t + own) < in_blocks
        and 8 * GROUPS_AND_SHUFFLES[0][0] * (d_s * d_t + own) <= CHEAP_SUMS_BYTES
    )
