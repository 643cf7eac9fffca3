"""A trial written for a trainer, and written files verified. Only verifying imports torch."""

import re
from pathlib import Path

from mapsearch.api.queries import read_for_export
from mapsearch.core.errors import ExportError, MapsearchError, WrongExport
from mapsearch.core.space import RecipeSpace
from mapsearch.core.studies import DEFAULT_STORAGE, Study
from mapsearch.core.study_file import stored_study
from mapsearch.exports.source import ExportSource, export_source
from mapsearch.exports.targets import target_named
from mapsearch.exports.write import write


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
        ExportError: the target or trial is unknown, the target cannot express the recipe, or a file exists.
        WrongExport: the file that was written is wrong; it is deleted again.
        MapsearchError: the file is written and stays, but could not be verified, for a reason that is not its fault,
            such as a framework that is not installed.
    """
    study, trials, runs = read_for_export(name, storage, trial)
    source = export_source(study, trials, runs, trial)
    path = Path(path)
    files, left_out = write(to, source, path, lossy=lossy, schema=schema)
    places = " and ".join(str(file) for file in files)
    said = f"trial {source.trial} of {name} written to {places}"
    if trial is None and study.facts.verdict is None:
        said += "; the study has no verdict yet: this is its best trial so far"
    elif trial is None and study.facts.verdict is not None and study.facts.verdict.recommended is None:
        said += f"; the verdict recommends nothing ({study.facts.verdict.decision}): this is its nominee"
    said += "".join(f"; unsupported: {sentence}" for sentence in left_out)
    if not verify:
        return said
    try:
        return f"{said}; {_verify(study, to, path, source, storage)}"
    except WrongExport as error:
        for file in files:  # a wrong file must not be left to be used
            file.unlink(missing_ok=True)
        raise WrongExport(*error.problems, f"{places} must give the trial's loss; deleted again") from None
    except MapsearchError as error:
        first, *others = error.problems
        raise type(error)(f"{said}; not verified: {first}", *others) from None


def verify_export(
    name: str, to: str, path: Path | str, *, trial: int | None = None, storage: str = DEFAULT_STORAGE
) -> str:
    """Run a file that was exported earlier, and say in one line that it still gives the trial's loss.

    Args:
        to: the target it was written for.
        trial: which one it should be of; None takes the one that its header names.

    Raises:
        ExportError: the file cannot be read, is of another study, or gives another loss; it is never deleted.
        FrameworkMissing: the framework is not installed.
    """
    path = Path(path)
    target_named(to)
    trial = _stated_trial(name, path) if trial is None else trial
    study, trials, runs = read_for_export(name, storage, trial)
    source = export_source(study, trials, runs, trial)
    return f"{path}, trial {source.trial} of {name}: {_verify(study, to, path, source, storage)}"


def _stated_trial(name: str, path: Path) -> int | None:
    """The trial that the header of an export names; None where there is none."""
    try:
        text = " ".join(path.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: the exported file cannot be read: {error}") from None
    stated = re.search(r"study: (.+?), trial (\d+), reference seed", text)
    if stated and stated[1] != name:
        raise ExportError(f"{path} is of study `{stated[1]}` by its header, but `{name}` was given")
    return int(stated[2]) if stated else None


def _verify(study: Study, to: str, path: Path, source: ExportSource, storage: str) -> str:
    from mapsearch.exports.frameworks.verify import verify
    from mapsearch.tasks.loading import cache_folder, load_task

    spec = stored_study(study.spec, study.folder)
    loaded = load_task(spec.task_reference(cache_folder(storage, spec.name)), spec.execution)
    loaded.task.output_form = study.facts.outputs
    space = RecipeSpace(study.facts.layers["student"], study.facts.layers["teacher"])
    report = verify(path, to, source, loaded, space, spec.train)
    said = f"verified, one batch: loss {report.loss_exported:.6g} in the file, {report.loss_in_trial:.6g} in the trial"
    if report.is_restricted:
        said += ", which has what the target cannot express"
    return f"{said}; warning: {report.warning}" if report.warning else said
