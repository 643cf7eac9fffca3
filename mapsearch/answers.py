"""What the study database answers: a study shown, a recipe exported. Only an export imports torch."""

from pathlib import Path
from typing import Any

from mapsearch.core.errors import MapsearchError
from mapsearch.core.records import DEFAULT_STORAGE, Run, Study, Trial
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
    storage: str = DEFAULT_STORAGE,
) -> str:
    """Write a recipe into a file for a trainer, and say in one line what was written.

    Args:
        to: the target, such as `torch` or `mapsearch`.
        trial: which one; None takes the recommended.
        verify: load the written file, and compare its loss on the trial's first batch with the trial's.

    Raises:
        ExportError: unknown target or trial, an existing file, or a file that gives another loss.
    """
    from mapsearch.exports.source import export_source
    from mapsearch.exports.targets import write

    study, trials, runs = read(name, storage)
    source = export_source(study, trials, runs, trial)
    write(to, source, path := Path(path))
    chosen = (
        "; the study has no verdict yet: this is its best trial so far"
        if trial is None and "verdict" not in study.facts
        else ""
    )
    said = f"trial {source.trial} of {name} written to {path}{chosen}"
    if not verify:
        return said
    try:
        return f"{said}; {_verify(study, to, path, source, storage)}"
    except MapsearchError:
        path.unlink()  # a file that failed is not left to be used
        raise


def _verify(study: Study, to: str, path: Path, source: Any, storage: str) -> str:
    from mapsearch.core.layers import Layer
    from mapsearch.core.space import RecipeSpace
    from mapsearch.core.spec import StudySpec
    from mapsearch.exports.verify import verify
    from mapsearch.tasks.loading import cache_folder, load_bench

    spec = StudySpec.model_validate({**study.spec, "folder": Path(study.folder)})
    bench = load_bench(spec, cache_folder(storage, spec.name))
    layers = study.facts["layers"]
    space = RecipeSpace(*(tuple(Layer.from_json(x) for x in layers[n]) for n in ("student", "teacher")))
    report = verify(path, to, source, bench, space, spec.train)
    return f"verified, one batch: loss {report.loss_exported:.6g} in the file, {report.loss_in_trial:.6g} in the trial"
