"""What may change in a study that is in the database: it may move and grow, but not become another study."""

import json
from typing import Any

from mapsearch.core.budget import PRESETS

MAY_GROW = ("budget", "search.trials", "confirm.finalists", "confirm.seeds", "confirm.context_seeds")
MAY_DIFFER = ("execution",)

_UNSET = object()


def forbidden_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What a study file would change that a stored study cannot take, in the order of the study file.

    `execution` says where a study runs and may differ freely. These may grow, and never shrink:

    - `budget`: what it pays for comes on top.
    - `search.trials`: more recipes are tried, and the finalists are chosen anew. That choice rests on validation
      data alone, so nothing is gained by having seen the confirm runs of the earlier finalists.
    - `confirm.finalists`: more of the ranking is confirmed. The nominee is its first and stays.
    - `confirm.seeds`, `confirm.context_seeds`: fresh seeds come on top of those that were run. Intervals and outcomes
      hold however often a study is extended.

    What has been run stays part of the study, so that a smaller number would describe what did not happen.
    Everything else defines what is compared.

    Args:
        old: the stored study as `StudySpec.to_json()`, in today's keys (`study_file.with_defaults`).
        new: the same of the study file.

    Returns:
        `` `train.lr`: 0.002 -> 0.01 `` for each key; empty if the study may continue.
    """
    return _changes(old, new, "")


def has_grown(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Whether the study file asks for another thing than what is stored, wherever that runs; arguments as above."""
    return any(old.get(key, _UNSET) != new.get(key, _UNSET) for key in {*old, *new} - {*MAY_DIFFER})


def _changes(old: dict[str, Any], new: dict[str, Any], path: str) -> list[str]:
    changes = []
    for key in dict.fromkeys((*old, *new)):
        before, after, here = old.get(key, _UNSET), new.get(key, _UNSET), f"{path}{key}"
        if before == after or here in MAY_DIFFER:
            continue
        if isinstance(before, dict) and isinstance(after, dict):
            changes += _changes(before, after, f"{here}.")
        elif here not in MAY_GROW:
            changes.append(f"`{here}`: {_shown(before)} -> {_shown(after)}")
        elif not _grows(before, after):
            changes.append(f"`{here}`: {_shown(before)} -> {_shown(after)}, but it may only grow")
    return changes


def _grows(before: Any, after: Any) -> bool:
    before, after = (PRESETS.get(value, value) for value in (before, after))
    return isinstance(before, int) and isinstance(after, int) and after >= before


def _shown(value: Any) -> str:
    return "unset" if value is _UNSET else json.dumps(value)
