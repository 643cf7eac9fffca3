"""What the study database answers: a study shown, a recipe exported. Only an export imports torch."""

import re
from pathlib import Path
from typing import Any

from mapsearch.core.errors import ExportError, FrameworkMissing, MapsearchError
from mapsearch.core.runs import Run
from mapsearch.core.studies import DEFAULT_STORAGE, Study
from mapsearch.core.trials import Trial
from mapsearch.report import study_json
from mapsearch.store.store import Store


def read(name: str, storage: str) -> tuple[Study, list[Trial], list[Run]]:
    """A study with its trials and runs.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database.
    """
    with Store.open(storage, create=False) as store:
        return store.study(name), store.trials(name), store.runs(name)


def show(name: str, storage: str = DEFAULT_STORAGE) -> dict[str, Any]:
    """Verdict, trials and cost of a study: the same fields as `mapsearch show --json`.

    Raises:
        StudyNotFound: no study of that name.
    """
    return study_json(*read(name, storage))


def export(
    name: str,
    to: str,
    path: Path | str,
    *,
    trial: int | None = None,
    verify: bool = False,
    lossy: bool = False,
    schema: str | None = None,
    storage: str = DEFAULT_STORAGE,
) -> str:
    """Write a recipe into a file for a trainer, and say in one line what was written.

    Args:
        to: the target, such as `torch` or `mapsearch`.
        trial: which one; None takes the recommended.
        verify: run the written file in its framework, and compare its loss on the trial's first batch.
        lossy: write what the target can express, and say what it cannot.
        schema: the version of the format, where the target has several; None takes its first.

    Raises:
        ExportError: unknown target or trial, something the target would lose, an existing file, or a file that
            gives another loss and is deleted again.
        FrameworkMissing: the framework is not installed; the file is left, not verified.
    """
    from mapsearch.exports.source import export_source
    from mapsearch.exports.targets import write

    study, trials, runs = read(name, storage)
    source = export_source(study, trials, runs, trial)
    path = Path(path)
    files, lost = write(to, source, path, lossy=lossy, schema=schema)
    chosen = (
        "; the study has no verdict yet: this is its best trial so far"
        if trial is None and "verdict" not in study.facts
        else ""
    )
    places = " and ".join(str(file) for file in files)
    said = f"trial {source.trial} of {name} written to {places}{chosen}" + "".join(f"; lost: {x}" for x in lost)
    if not verify:
        return said
    try:
        return f"{said}; {_verify(study, to, path, source, storage)}"
    except FrameworkMissing as error:
        raise FrameworkMissing(f"{said}; not verified: {error}") from None
    except MapsearchError:
        for file in files:  # what failed is not left to be used
            file.unlink()
        raise


def verify_export(
    name: str, to: str, path: Path | str, *, trial: int | None = None, storage: str = DEFAULT_STORAGE
) -> str:
    """Run a file that was exported earlier, and say in one line that it still gives the trial's loss.

    Args:
        to: the target it was written for.
        trial: which one it should be of; None takes the one that its header names.

    Raises:
        ExportError: the file cannot be read, is of another study, or gives another loss.
        FrameworkMissing: the framework is not installed.
    """
    from mapsearch.exports.source import export_source
    from mapsearch.exports.targets import target_named

    study, trials, runs = read(name, storage)
    path = Path(path)
    number = _stated_trial(name, target_named(to).header(path)) if trial is None else trial
    source = export_source(study, trials, runs, number)
    return f"{path}, trial {source.trial} of {name}: {_verify(study, to, path, source, storage)}"


def _stated_trial(name: str, path: Path) -> int | None:
    """The trial that the header of an export names; None where there is none."""
    try:
        text = " ".join(path.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: the exported file cannot be read: {error}") from None
    stated = re.search(r"study: (.+?), trial (\d+), reference seed", text)
    if stated and stated[1] != name:
        raise ExportError(f"{path} says that it is of study `{stated[1]}`, but `{name}` was given")
    return int(stated[2]) if stated else None


def _verify(study: Study, to: str, path: Path, source: Any, storage: str) -> str:
    from mapsearch.core.layers import Layer
    from mapsearch.core.space import RecipeSpace
    from mapsearch.core.study_file import stored_study
    from mapsearch.exports.verify import verify
    from mapsearch.tasks.loading import cache_folder, load_task

    spec = stored_study(study.spec, study.folder)
    loaded = load_task(spec, cache_folder(storage, spec.name))
    layers = study.facts["layers"]
    space = RecipeSpace(*(tuple(Layer.from_json(x) for x in layers[n]) for n in ("student", "teacher")))
    report = verify(path, to, source, loaded, space, spec.train)
    return f"verified, one batch: loss {report.loss_exported:.6g} in the file, {report.loss_in_trial:.6g} in the trial"
