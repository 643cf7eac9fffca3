"""Two specs in, the keys that differ out."""

import json
from typing import Any


def changed_keys(old: dict[str, Any], new: dict[str, Any], path: str = "") -> list[str]:
    """`` `train.lr`: 0.002 -> 0.01 `` for each key whose value differs, in the order of the study file."""
    changes = []
    for key in dict.fromkeys((*old, *new)):
        before, after, here = old.get(key, _UNSET), new.get(key, _UNSET), f"{path}{key}"
        if isinstance(before, dict) and isinstance(after, dict):
            changes += changed_keys(before, after, f"{here}.")
        elif before != after:
            changes.append(f"`{here}`: {_shown(before)} -> {_shown(after)}")
    return changes


_UNSET = object()


def _shown(value: Any) -> str:
    return "unset" if value is _UNSET else json.dumps(value)
