"""The numbers of fresh seeds at which a verdict looks."""

LOOKS = (4, 6, 8, 11, 14, 18, 23, 30, 39, 50, 64, 80, 100)
"""Declared beforehand: a request for another number goes up to the next."""


def next_look(n_seeds: int) -> int:
    """The first look at so many seeds or more; the last one for any larger number."""
    return next((n for n in LOOKS if n >= n_seeds), LOOKS[-1])
