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

RETIRED = {"space.width": "depth curves spread in units of T/S"}
"""Keys that decide nothing any more, and why."""

RENAMED_VALUES = {("search.sampler", "tpe"): "model"}
"""(key, value of an earlier version) -> what stands for it now."""


@dataclass(frozen=True)
class MovedKeys:
    """A study file with every key in its new place.

    Attributes:
        moves: old place -> new place of the keys that were found in their old place.
        problems: keys given in both places with different values.
        outdated: keys and values of earlier versions, each with what it means now.
    """

    data: dict[str, Any]
    moves: dict[str, str]
    problems: tuple[str, ...]
    outdated: tuple[str, ...]

    @property
    def notices(self) -> tuple[str, ...]:
        """One message that names the new places, if any key has moved, and one for each that is out of date."""
        changes = ", ".join(f"`{old}` is now `{new}`" for old, new in self.moves.items())
        moved = (f"keys have moved: {changes}; the old places still work",) if self.moves else ()
        return (*moved, *self.outdated)


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
    return MovedKeys(result, moves, tuple(problems), tuple(_outdated(result)))


def _outdated(data: dict[str, Any]) -> list[str]:
    """Takes what is out of date out of `data`, and gives a message for each."""
    messages = []
    for place, reason in RETIRED.items():
        section, key = place.split(".")
        if isinstance(data.get(section), dict) and key in data[section]:
            del data[section][key]
            messages.append(f"`{place}` is no longer used: {reason}; remove it")
    for (place, old), new in RENAMED_VALUES.items():
        section, key = place.split(".")
        if isinstance(data.get(section), dict) and data[section].get(key) == old:
            data[section][key] = new
            messages.append(f"`{place}: {old}` is now `{new}`")
    return messages


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]
