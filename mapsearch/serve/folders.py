"""The study folders that may be started: what a client names leads to one of them, or nowhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapsearch.api import queries
from mapsearch.core.errors import MapsearchError, SpecError, StudyChanged, did_you_mean
from mapsearch.core.study_file import load_study
from mapsearch.serve.settings import Settings

FILE = "study.yaml"


@dataclass(frozen=True)
class StudyFolder:
    """A folder that may be started, or the problems of its study file; `name` is the study's own."""

    folder: str
    name: str | None
    problems: tuple[str, ...]


def study_folders(root: Path) -> list[StudyFolder]:
    """Every folder right below the root that holds a study file, by name."""
    return [_read(folder, path) for folder, path in sorted(_files(root).items())]


def file_of(root: Path | None, folder: str) -> Path:
    """The study file of the folder of that name.

    Raises:
        StudyChanged: the service starts no studies.
        SpecError: there is no such folder.
    """
    if root is None:
        raise StudyChanged("this service starts no studies; start it with `mapsearch serve --studies DIR`")
    files = _files(root)
    if folder not in files:  # a look-up in what is there: no path is ever made of what a client sends
        hint = did_you_mean(folder, list(files)) or f"; folders: {', '.join(sorted(files)) or 'none'}"
        raise SpecError(f"no study folder `{folder}` under --studies{hint}")
    return files[folder]


def require_settings_without_code(settings: dict[str, Any]) -> None:
    """A study's code is its folder's: what a client sets names no class, no file and no argument of the task.

    Raises:
        SpecError: a setting does; all of them at once.
    """
    problems = [f"setting `{key}`: the task is its folder's own" for key in settings if _is_of_task(key)]
    problems += [f"setting `{key}`: names a file" for key, value in settings.items() if _names_file(value)]
    if problems:
        raise SpecError(*problems)


def require_startable(name: str, settings: Settings) -> None:
    """Whether the service may start a stored study: only where its task lies below `--studies`.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StudyChanged: it lies elsewhere.
    """
    if not settings.may_start(Path(queries.study(name, settings.storage).folder)):
        raise StudyChanged(
            f"the folder of study `{name}` is not below --studies, so this service does not start it; "
            f"`mapsearch run {name}` does"
        )


def _files(root: Path) -> dict[str, Path]:
    """Name of each study folder -> its study file; a link that leads out of the root is none."""
    base = root.resolve()
    try:
        folders = [folder for folder in base.iterdir() if (folder / FILE).resolve().is_relative_to(base)]
    except OSError:
        return {}
    return {folder.name: folder / FILE for folder in folders if (folder / FILE).is_file()}


def _read(folder: str, path: Path) -> StudyFolder:
    try:
        return StudyFolder(folder, load_study(path).name, ())
    except MapsearchError as error:
        return StudyFolder(folder, None, error.problems)


def _is_of_task(key: str) -> bool:
    return key.partition(".")[0].strip() in ("task", "options")


def _names_file(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_names_file(part) for item in value.items() for part in item)
    if isinstance(value, list):
        return any(map(_names_file, value))
    return isinstance(value, str) and any(mark in value for mark in ("/", "\\", ".py"))
