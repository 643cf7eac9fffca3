"""The numbers of fresh seeds at which a verdict looks, and what it can see by then."""

LOOKS = (4, 6, 8, 11, 14, 18, 23, 30, 39, 50, 64, 80, 100)
"""Declared beforehand: a request for another number goes up to the next."""

ERROR_SHARES = (1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64)
"""Parts of a study's error that a nominee may have: the first all of it, later ones what the earlier have left."""

VISIBLE_GAIN = {
    4: 4.3, 6: 1.88, 8: 1.48, 11: 1.18, 14: 1.03, 18: 0.90, 23: 0.79, 30: 0.69, 39: 0.61, 50: 0.54, 64: 0.49, 80: 0.44,
    100: 0.40,
}  # fmt: skip
"""Gain that looks at up to so many seeds call a win with 80 %, in standard deviations of a paired difference.

Before any run this is about one seed's standard deviation (two recipes that correlate by a half).
"""


def next_look(n_seeds: int) -> int:
    """The first look at so many seeds or more; the last one for any larger number."""
    return next((n for n in LOOKS if n >= n_seeds), LOOKS[-1])


def error_spent(n_seeds: int) -> float:
    """The part of its error that a question has spent by a look at so many seeds (after Lan and DeMets 1983)."""
    return 1.0 - 3.5 / n_seeds if n_seeds else 0.0
