"""Keys of a study file that have moved: the old places are still understood."""

from dataclasses import dataclass
from typing import Any

from mapsearch.core.text import shortened

MOVED = {
    "train.device": "execution.devices",
    "train.threads": "execution.threads",
    "train.cohort": "execution.cohort",
    "train.cache_bytes": "execution.cache_bytes",
    "search.workers": "execution.workers",
    "space.logit_weight": "space.output_weight",
    "confirm.margin": "margin",
}
"""Old place -> new place."""


@dataclass(frozen=True)
class MovedKeys:
    """A study file with every key in its new place.

    Attributes:
        moves: old place -> new place of the keys that were found in their old place.
        problems: keys given in both places with different values.
    """

    data: dict[str, Any]
    moves: dict[str, str]
    problems: tuple[str, ...]

    @property
    def notices(self) -> tuple[str, ...]:
        """One message that names the new places, if any key has moved."""
        if not self.moves:
            return ()
        changes = ", ".join(f"`{old}` is now `{new}`" for old, new in self.moves.items())
        return (f"keys have moved: {changes}; the old places still work",)


def with_moved_keys(data: dict[str, Any]) -> MovedKeys:
    """Put the keys of an older study file, or of a stored study, in their new places; `data` stays as it is."""
    result = {key: dict(value) if isinstance(value, dict) else value for key, value in data.items()}
    moves, problems = {}, []
    for old, new in MOVED.items():
        (old_section, old_key), (*new_section, new_key) = old.split("."), new.split(".")
        source, target = result.get(old_section), result.get(new_section[0], {}) if new_section else result
        if not isinstance(source, dict) or old_key not in source or not isinstance(target, dict):
            continue  # a section that is not a mapping is a problem of its own
        value = source.pop(old_key)
        moves[old] = new
        if new_key in target and _as_list(target[new_key]) != _as_list(value):
            given = f"{shortened(value)} and {shortened(target[new_key])}"
            problems.append(f"`{old}` has moved to `{new}`, but both are given, as {given}; delete `{old}`")
        if new_section:
            result[new_section[0]] = {new_key: value, **target}
        else:
            result = {new_key: value, **result}
    return MovedKeys(result, moves, tuple(problems))


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]
