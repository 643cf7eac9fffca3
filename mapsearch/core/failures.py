"""Runs that failed, grouped by what they have in common: failures have causes that one can see."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mapsearch.core.runs import RunState

Trait = str
"""Something that runs differ in: `seed`, `loss`, `lr_factor`, `trial` or `worker`."""

MOST_OF_A_GROUP = 0.8
"""A trait explains a group if so much of it has few values of the trait."""

TIMES_AS_OFTEN = 2.0
"""And if runs with these values fail so many times as often as runs do in general."""


@dataclass(frozen=True)
class FailedRun:
    """A run that ended without a value, and its traits, as far as they are known."""

    state: RunState
    error: str
    traits: Mapping[Trait, str]


@dataclass(frozen=True)
class InCommon:
    """`n_failed` runs of a group have one of these values of a trait, out of `n_runs` in the study that have one."""

    trait: Trait
    values: tuple[str, ...]
    n_failed: int
    n_runs: int


@dataclass(frozen=True)
class FailureGroup:
    """Runs that ended alike: state and error, whatever numbers stand in it; `error` is that of the first."""

    state: RunState
    error: str
    n_runs: int
    in_common: tuple[InCommon, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def kind_of_error(error: str) -> str:
    """The error without its numbers: errors that differ only in them are of one kind."""
    return re.sub(r"[\d.]+", "", error)


def group_failures(
    failed: Sequence[FailedRun], totals: Mapping[Trait, Mapping[str, int]], n_ended: int
) -> tuple[FailureGroup, ...]:
    """The failed runs by state and kind of error, the most frequent first, each with what explains it best first.

    Args:
        totals: how many runs of the study have ended, by trait and value, as far as failed runs have it.
        n_ended: how many have ended in all.
    """
    groups: dict[tuple[RunState, str], list[FailedRun]] = {}
    for run in failed:
        groups.setdefault((run.state, kind_of_error(run.error)), []).append(run)
    ordered = sorted(groups.values(), key=len, reverse=True)
    return tuple(
        FailureGroup(runs[0].state, runs[0].error, len(runs), _in_common(runs, totals, n_ended)) for runs in ordered
    )


def _in_common(
    runs: Sequence[FailedRun], totals: Mapping[Trait, Mapping[str, int]], n_ended: int
) -> tuple[InCommon, ...]:
    """The traits that explain the group: few values, which fail far more often than others."""
    telling = []
    for trait, ended in totals.items():
        row = _most_of(runs, trait, ended)
        if 2 * len(row.values) <= row.n_failed and row.n_failed > TIMES_AS_OFTEN * len(runs) / n_ended * row.n_runs:
            telling.append(row)
    return tuple(sorted(telling, key=lambda row: -row.n_failed / row.n_runs))


def _most_of(runs: Sequence[FailedRun], trait: Trait, ended: Mapping[str, int]) -> InCommon:
    """The fewest values of the trait that most of the runs have."""
    counts, values, n_failed = Counter(run.traits[trait] for run in runs if trait in run.traits), list[str](), 0
    for value, n in counts.most_common():
        if n_failed >= MOST_OF_A_GROUP * len(runs):
            break
        values.append(value)
        n_failed += n
    return InCommon(trait, tuple(values), n_failed, sum(ended.get(value, 0) for value in values))
