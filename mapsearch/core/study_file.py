"""The text of a study file -> a `StudySpec`, or every problem of it in words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mapsearch.core.errors import SpecError, did_you_mean
from mapsearch.core.metric_direction import direction_notice
from mapsearch.core.moved_keys import with_moved_keys
from mapsearch.core.spec import StudySpec
from mapsearch.core.text import MAX_SHOWN, shortened
from mapsearch.core.yaml_text import MAX_BYTES, decode, parse_yaml

Section = TypeVar("Section", bound=BaseModel)

NOT_IN_FILE = ("folder", "notices")
"""Fields of a `StudySpec` that are not keys of its file."""


def parse_section(section: type[Section], options: dict[str, Any]) -> Section:
    """One section of a study file from plain values, such as the arguments of a function.

    Raises:
        SpecError: a value breaks the schema; all problems at once.
    """
    try:
        return section.model_validate(options)
    except ValidationError as error:
        raise SpecError(*_problems(error, {})) from None


def stored_study(data: dict[str, Any], folder: Path | str = Path()) -> StudySpec:
    """The study of a stored `StudySpec.to_json()`, also of one that an earlier version wrote.

    Raises:
        SpecError: this version does not know its keys.
    """
    try:
        return StudySpec.model_validate({**with_moved_keys(data).data, "folder": Path(folder)})
    except ValidationError as error:
        raise SpecError(*(f"stored study: {problem}" for problem in _problems(error, {}))) from None


def with_defaults(data: dict[str, Any]) -> dict[str, Any]:
    """A stored `StudySpec.to_json()` in today's keys, new ones at their defaults."""
    try:
        return stored_study(data).to_json()
    except SpecError:  # written by a version whose keys are no longer known
        return data


def load_study(path: Path | str) -> StudySpec:
    """The study of a file.

    Raises:
        SpecError: the file cannot be read, or breaks the schema; all problems at once.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or error
        raise SpecError(f"{path}: the study file cannot be read: {reason}; `mapsearch init DIR` writes one") from None
    with _problems_of(path):
        text = decode(content)
    return parse_study(text, path)


def parse_study(text: str, path: Path) -> StudySpec:
    """The study that `text` describes; `path` is its file, for messages and for the task's folder.

    Raises:
        SpecError: the text breaks the schema; all problems at once.
    """
    with _problems_of(path):
        data, problems = parse_yaml(text)
        if data is None:
            raise SpecError("the study file is empty; `mapsearch init DIR` writes one to begin with")
        if not isinstance(data, dict):
            raise SpecError(f"a study file must be a mapping of keys to values, but got {type(data).__name__}")
        problems += [f"`{key}` is not a key of a study file; remove it" for key in data if key in NOT_IN_FILE]
        moved = with_moved_keys(data)
        problems += moved.problems
        try:
            study = StudySpec.model_validate({**moved.data, "folder": path.resolve().parent})
        except ValidationError as error:
            problems += _problems(error, moved.moves)
        if problems:
            raise SpecError(*problems)
    notice = direction_notice(study.metric, study.direction, stated="direction" in data) if "metric" in data else ""
    return study.model_copy(update={"notices": (*moved.notices, *([notice] if notice else []))})


@contextmanager
def _problems_of(path: Path) -> Iterator[None]:
    """Puts the file's name before every problem."""
    try:
        yield
    except SpecError as error:
        raise SpecError(*(f"{path}: {problem}" for problem in error.problems)) from None


def _problems(error: ValidationError, moves: dict[str, str]) -> list[str]:
    """One line per place; a tuple emptied by its own bad items is not too short as well."""
    items: list[dict[str, Any]] = [dict(item) for item in error.errors()]
    items.sort(key=lambda item: item["type"] != "extra_forbidden")  # a misspelt key may be the cause of the others
    places = [item["loc"] for item in items]
    inner = {place[:depth] for place in places for depth in range(len(place))}
    given_as = {new: old for old, new in moves.items()}
    return [_problem(item, given_as) for item in items if item["type"] != "too_short" or item["loc"] not in inner]


def _problem(error: dict[str, Any], given_as: dict[str, str]) -> str:
    """One line: dotted path, what must hold, what was given, and close matches of a misspelt name."""
    location = [str(part)[:MAX_SHOWN] for part in error["loc"]]
    path = ".".join(location) or "study"
    if error["type"] == "extra_forbidden":
        known = _keys_at(location[:-1])
        return f"unknown key `{path}`{did_you_mean(location[-1], known) or '; known here: ' + ', '.join(known)}"
    if error["type"] == "missing":
        return f"`{path}` is missing"
    if error["type"] == "model_type":
        return f"`{path}`: must be a section of keys and values, but got {shortened(error['input'])}"
    message = error["msg"].removeprefix("Value error, ")
    message = (message[0].lower() + message[1:]).replace("tuple", "list")
    given = "" if "but got" in message or error["type"] == "value_error" else f", but got {shortened(error['input'])}"
    names = re.findall(r"'([^']+)'", error["ctx"]["expected"]) if error["type"] == "literal_error" else []
    old = given_as.get(".".join(location[:2]))
    place = f"`{path}`" if old is None else f"`{old}` (now `{path}`)"
    return f"{place}: {message}{given}{did_you_mean(str(error['input'])[:MAX_SHOWN], names)}"


def _keys_at(location: list[str]) -> list[str]:
    model: type[BaseModel] = StudySpec
    for part in location:
        annotation = model.model_fields[part].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return [key for key in model.model_fields if key not in NOT_IN_FILE]
