"""What a study took over from another one, in words."""

from collections import Counter

from mapsearch.core.port import Port

MOST_REASONS = 4
"""Reasons why recipes were left out that are told; `show --json` lists all."""


def port_sentences(port: Port) -> list[str]:
    """What was carried and what was not, and, once it is measured, whether the old ranking holds."""
    lines = [f"{len(port.carried)} recipes of `{port.name}` carried over in relative depth", *_left_out(port)]
    return [*lines, _measured(port)] if port.is_measured else lines


def _left_out(port: Port) -> list[str]:
    reasons = Counter(why for _, why in port.left_out).most_common()
    told = [f"{n} left out: {why}" for why, n in reasons[:MOST_REASONS]]
    n_others = sum(n for _, n in reasons[MOST_REASONS:])
    return [*told, f"{n_others} left out for other reasons"] if n_others else told


def _measured(port: Port) -> str:
    if port.correlation is None:
        few = f"only {port.n_compared} recipes ran in both studies"
        return f"{few}: nothing tells whether the ranking of `{port.name}` holds; searched as if from the beginning"
    found = f"rank correlation {port.correlation:.2f} over {port.n_compared} recipes that ran in both"
    if port.holds:
        return (
            f"what `{port.name}` found holds here ({found}): its best are tried first, and a third of the search is run"
        )
    return (
        f"what `{port.name}` found does not hold here ({found}, no more than chance): searched as if from the beginning"
    )
