"""The text of a study file -> a `StudySpec`, or every problem of it in words."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from mapsearch.core.errors import SpecError, did_you_mean
from mapsearch.core.metric_direction import direction_notice
from mapsearch.core.moved_keys import with_moved_keys
from mapsearch.core.settings import with_settings
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
        raise SpecError(*_problems(error, {}, section)) from None


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


def load_study(path: Path | str, settings: Sequence[str] = ()) -> StudySpec:
    """The study of a file.

    Args:
        settings: keys set beside the file, such as `train.lr=2.0e-3`; they replace its own.

    Raises:
        SpecError: the file cannot be read, or breaks the schema; all problems at once.
    """
    path = Path(path)
    return parse_study(read_text(path), path, settings)


def read_text(path: Path) -> str:
    """The text of a study file.

    Raises:
        SpecError: it cannot be read, or is no text of reasonable size.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason, way_out = error.strerror or error, _near(path) or "; `mapsearch init DIR` writes one"
        raise SpecError(f"{path}: the study file cannot be read: {reason}{way_out}") from None
    with _problems_of(path):
        return decode(content)


def _near(path: Path) -> str:
    """`; did you mean ...?` for the study files of a folder that was named in their place, or those beside a path."""
    files = sorted(map(str, (path if path.is_dir() else path.parent).glob("*.y*ml")))
    if path.is_dir() and len(files) == 1:
        return f"; did you mean `{files[0]}`?"
    return did_you_mean(str(path), files)


def parse_study(text: str, path: Path, settings: Sequence[str] = ()) -> StudySpec:
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
        data = with_settings(data, settings)
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


def study_text(text: str, settings: Sequence[str]) -> str:
    """The text of a study file with the settings put in, as it is kept with the study; as it is where there are none.

    Raises:
        SpecError: a setting cannot be read.
    """
    if not settings:
        return text
    data, _ = parse_yaml(text)
    return yaml.safe_dump(with_settings(data, settings), sort_keys=False, allow_unicode=True)


@contextmanager
def _problems_of(path: Path) -> Iterator[None]:
    """Puts the file's name before every problem."""
    try:
        yield
    except SpecError as error:
        raise SpecError(*(f"{path}: {problem}" for problem in error.problems)) from None


def _problems(error: ValidationError, moves: dict[str, str], model: type[BaseModel] = StudySpec) -> list[str]:
    """One line per place of the model; a tuple emptied by its own bad items is not too short as well."""
    items: list[dict[str, Any]] = [dict(item) for item in error.errors()]
    items.sort(key=lambda item: item["type"] != "extra_forbidden")  # a misspelt key may be the cause of the others
    places = [item["loc"] for item in items]
    inner = {place[:depth] for place in places for depth in range(len(place))}
    given_as = {new: old for old, new in moves.items()}
    return [
        _problem(item, given_as, model) for item in items if item["type"] != "too_short" or item["loc"] not in inner
    ]


def _problem(error: dict[str, Any], given_as: dict[str, str], model: type[BaseModel]) -> str:
    """One line: dotted path, what must hold, what was given, and close matches of a misspelt name."""
    location = [str(part)[:MAX_SHOWN] for part in error["loc"]]
    path = ".".join(location) or "study"
    if error["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        return f"unknown key `{path}`{did_you_mean(location[-1], known) or '; known here: ' + ', '.join(known)}"
    if error["type"] == "missing":
        if not isinstance(error["loc"][-1], int):
            return f"`{path}` is missing"
        place, number = ".".join(location[:-1]), error["loc"][-1] + 1  # of a list that is too short
        return f"`{place}`: must have an entry {number} too, but got {shortened(error['input'])}"
    if error["type"] == "model_type":
        return f"`{path}`: must be a section of keys and values, but got {shortened(error['input'])}"
    message = error["msg"].removeprefix("Value error, ")
    message = (message[0].lower() + message[1:]).replace("tuple", "list")
    given = "" if "but got" in message or error["type"] == "value_error" else f", but got {shortened(error['input'])}"
    names = re.findall(r"'([^']+)'", error["ctx"]["expected"]) if error["type"] == "literal_error" else []
    old = given_as.get(".".join(location[:2]))
    place = f"`{path}`" if old is None else f"`{old}` (now `{path}`)"
    return f"{place}: {message}{given}{did_you_mean(str(error['input'])[:MAX_SHOWN], names)}"


def _keys_at(model: type[BaseModel], location: list[str]) -> list[str]:
    for part in location:
        annotation = model.model_fields[part].annotation
        assert isinstance(annotation, type)
        assert issubclass(annotation, BaseModel)
        model = annotation
    return [key for key in model.model_fields if key not in NOT_IN_FILE]
