"""Failed runs in words."""

from collections.abc import Mapping, Sequence

from mapsearch.core.failures import FailureGroup, InCommon, Trait

MOST_GROUPS, MOST_TRAITS, MOST_VALUES = 4, 2, 6
"""Kinds of failure that are told, what is told that such runs have in common, and values that are named of it."""

TRAIT_NAMES: Mapping[Trait, str] = {
    "seed": "seed", "loss": "loss", "lr_factor": "learning rate x", "trial": "trial", "worker": "worker",
}  # fmt: skip


def failure_sentences(failures: Sequence[FailureGroup]) -> list[str]:
    """A line for each kind of failure, the most frequent first, with what such runs have in common."""
    told = [f"{group.n_runs} {group.state}: {_explained(group)}" for group in failures[:MOST_GROUPS]]
    left = sum(group.n_runs for group in failures[MOST_GROUPS:])
    return [*told, f"{left} failed for other reasons"] if left else told


def _explained(group: FailureGroup) -> str:
    shared = "; ".join(_named(group, row) for row in group.in_common[:MOST_TRAITS])
    return f"{group.error} [{shared}]" if shared else group.error


def _named(group: FailureGroup, row: InCommon) -> str:
    """`all at seed 3, 7, as 23 of the 60 runs there`: the values, and how many of the runs that have them failed."""
    values = [*row.values[:MOST_VALUES], *(["..."] if len(row.values) > MOST_VALUES else [])]
    whose = "all" if row.n_failed == group.n_runs else f"{row.n_failed} of them"
    name = TRAIT_NAMES[row.trait]
    named = f"{name}{', '.join(values)}" if name.endswith("x") else f"{name} {', '.join(values)}"
    return f"{whose} at {named}: {row.n_failed} of the {row.n_runs} runs there"
