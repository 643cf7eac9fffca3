"""A trial written for a trainer, and written files verified. Only verifying imports torch."""

import re
from dataclasses import dataclass
from pathlib import Path

from mapsearch.api.queries import read_for_export
from mapsearch.core.errors import ExportError, MapsearchError, WrongExport
from mapsearch.core.folders import cache_folder
from mapsearch.core.space import RecipeSpace
from mapsearch.core.studies import DEFAULT_STORAGE, Study
from mapsearch.core.study_file import stored_study
from mapsearch.exports.render.text_layout import docstring_line, one_line
from mapsearch.exports.source import ExportSource, export_source
from mapsearch.exports.targets import TARGETS, target_named
from mapsearch.exports.write import texts_of, write


def export(
    name: str,
    to: str,
    path: Path | str,
    *,
    trial: int | None = None,
    verify: bool = False,
    lossy: bool = False,
    storage: str = DEFAULT_STORAGE,
) -> str:
    """Write a recipe into a file for a trainer, and say in one line what was written.

    Args:
        to: the target, such as `torch` or `mapsearch`.
        trial: which one; None takes the recommended.
        verify: train a few steps with the written file in its framework, and compare with the trial's.
        lossy: write what the target can express, and say what it cannot.

    Raises:
        ExportError: the target or trial is unknown, the target cannot express the recipe, or a file exists.
        WrongExport: the file that was written is wrong; it is deleted again.
        MapsearchError: the file is written and stays, but could not be verified, for a reason that is not its fault,
            such as a framework that is not installed.
    """
    study, trials, runs = read_for_export(name, storage, trial)
    source = export_source(study, trials, runs, trial)
    path = Path(path)
    files, left_out = write(to, source, path, lossy=lossy)
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


@dataclass(frozen=True)
class ExportOffer:
    """What a target would make of a trial: `losses` are left out, for `refusals` it is not written at all."""

    target: str
    about: str
    losses: tuple[str, ...]
    refusals: tuple[str, ...]


def export_offers(name: str, trial: int | None, storage: str) -> tuple[ExportOffer, ...]:
    """What every target would lose of a trial; nothing is written.

    Raises:
        ExportError: the trial is unknown, or has no complete run.
    """
    study, trials, runs = read_for_export(name, storage, trial)
    source = export_source(study, trials, runs, trial)
    return tuple(
        ExportOffer(name, target.about, target.left_out(source, fatal=False), target.left_out(source, fatal=True))
        for name, target in TARGETS.items()
    )


def trained_trial(name: str, trial: int | None, storage: str) -> int:
    """The number of the trial whose student `mapsearch train` would train.

    Args:
        trial: None takes the recommended one, or else the nominee.

    Raises:
        ExportError: the trial is unknown, or has no complete run.
    """
    study, trials, runs = read_for_export(name, storage, trial)
    return export_source(study, trials, runs, trial).trial


def exported_texts(name: str, to: str, trial: int | None, storage: str, *, lossy: bool = False) -> dict[str, str]:
    """The files that an export of the trial consists of, by name, the main one first; nothing is written.

    Raises:
        ExportError: the target or trial is unknown, or the target cannot express the recipe.
    """
    study, trials, runs = read_for_export(name, storage, trial)
    source = export_source(study, trials, runs, trial)
    target = target_named(to)
    main = f"{name}-{source.trial}{target.suffixes[0]}"  # a study may have dots in its name
    texts, _ = texts_of(to, source, Path(study.folder) / main, lossy=lossy)  # beside the task
    return {path.name: text for path, text in texts.items()}


def verify_export(
    name: str, to: str, path: Path | str, *, trial: int | None = None, storage: str = DEFAULT_STORAGE
) -> str:
    """Run a file that was exported earlier, and say in one line that it still gives the trial's loss.

    Args:
        to: the target it was written for.
        trial: which one it should be of; None takes the one that its header names, and the header must have one.

    Raises:
        ExportError: the file cannot be read, is of another study, says of its trial what is not so, or gives another
            loss; it is never deleted.
        FrameworkMissing: the framework is not installed.
    """
    path = Path(path)
    target = target_named(to)
    header = _header(path)
    trial = _stated_trial(name, path, header) if trial is None else trial
    study, trials, runs = read_for_export(name, storage, trial)
    source = export_source(study, trials, runs, trial)
    _require_provenance(path, header, target.expressible(source))
    return f"{path}, trial {source.trial} of {name}: {_verify(study, to, path, source, storage)}"


def _header(path: Path) -> str:
    """The text of the file in one line, comments without their marks, so that no layout hides what a header says."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: the exported file cannot be read: {getattr(error, 'strerror', error)}") from None
    return " ".join(" ".join(line.lstrip("# ") for line in lines).split())


def _stated_trial(name: str, path: Path, header: str) -> int:
    """The trial that the header of an export names."""
    stated = re.search(r"study: (.+?), trial (\d+), reference seed", header)
    if not stated:
        raise ExportError(f"{path}: its header must name the study and trial it is of; say which with --trial")
    if stated[1] != name:
        raise ExportError(f"{path} is of study `{stated[1]}` by its header, but `{name}` was given")
    return int(stated[2])


def _require_provenance(path: Path, header: str, source: ExportSource) -> None:
    """Make sure that what the header says of trial, seed and recipe is so; a file may have none."""
    if "reference seed" not in header:
        return
    of_trial, recipe, *_ = source.provenance
    problems = [
        f"{path}: the header must say of trial {source.trial} of `{source.study}`: `{one_line(line)}`; export it again"
        for line in (of_trial, recipe)
        if not any(" ".join(form(line).split()) in header for form in (docstring_line, one_line))
    ]
    if problems:
        raise ExportError(*problems)


def _verify(study: Study, to: str, path: Path, source: ExportSource, storage: str) -> str:
    from mapsearch.exports.frameworks.verify import verify
    from mapsearch.tasks.loading import load_task

    spec = stored_study(study.spec, study.folder)
    loaded = load_task(spec.task_reference(cache_folder(storage, spec.name)), spec.execution)
    loaded.task.output_form = study.facts.outputs
    space = RecipeSpace(study.facts.layers["student"], study.facts.layers["teacher"])
    report = verify(path, to, source, loaded, space, spec.train)
    steps = f"verified, {len(report.progress)} steps"
    said = f"{steps}: first loss {report.loss_exported:.6g} in the file, {report.loss_in_trial:.6g} in the trial"
    said += "".join(f"; edited: {edit}" for edit in report.edits)
    return f"{said}; warning: {report.warning}" if report.warning else said
