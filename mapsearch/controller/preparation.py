"""The first two stages of a study: its task is loaded and checked, its networks are compared."""

import platform
from collections.abc import Generator, Iterator
from importlib.metadata import version
from pathlib import Path

import torch

from mapsearch import __version__, search
from mapsearch.check import check, raise_for_errors
from mapsearch.controller.context import Update
from mapsearch.controller.forecast import with_forecast
from mapsearch.core.events import Message
from mapsearch.core.facts import StudyFacts
from mapsearch.core.metrics import storable
from mapsearch.core.spec import StudySpec
from mapsearch.report.similarity import similarity_sentence
from mapsearch.similarity.measure import measure_similarity
from mapsearch.store.handle import StudyHandle
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import load_task, task_digest
from mapsearch.tasks.memory import free_unused_memory

CHANGED_TASK = (
    "warning: the task file has changed since this study began; "
    "if its data or networks changed, give the study a new `name`"
)


def prepare(
    study: StudyHandle, spec: StudySpec, cache_dir: Path, *, inline: bool
) -> Generator[Update, None, LoadedTask | None]:
    """Check and compare what was not yet, and give the loaded task if the students are trained in this process.

    Workers load it themselves, and need the memory.
    """
    study.expect_runs(sum(stage.n_runs for stage in search.forecast_stages(spec)))
    checked = None
    if not study.facts().is_checked:
        study.set_state("checking")
        yield Message("load", f"data and networks of {spec.task}")  # some tasks train their teacher here, for minutes
        checked = load_task(spec, cache_dir)
        study.record_facts((yield from _check_and_compare(checked, spec)))
    yield from _resume(study, spec)
    if inline:
        return checked or load_task(spec, cache_dir)
    checked = None
    free_unused_memory()
    return None


def _resume(study: StudyHandle, spec: StudySpec) -> Iterator[Update]:
    """Queue interrupted runs again, and report what has changed since."""
    again = study.release_runs()
    if study.study().state == "failed":
        again += reopen_failed_runs(study)
    if again:
        yield Message("resume", f"{again} runs were interrupted or failed, and are run again")
    if task_digest(spec) != study.facts().environment["task_sha256"]:
        yield Message("resume", CHANGED_TASK)
        study.add_event("warning", CHANGED_TASK)


def reopen_failed_runs(study: StudyHandle) -> int:
    """Lets what a failed study tries again wait: runs, and the trials that they decide; gives how many runs."""
    trials, runs = study.trials(), study.runs()
    redo = search.runs_to_redo(trials, runs, study.facts().finalists or ())
    return study.reopen_runs(redo, search.trials_to_redo(trials, runs, redo))


def _check_and_compare(loaded: LoadedTask, spec: StudySpec) -> Generator[Update, None, StudyFacts]:
    yield from loaded.messages
    report = with_forecast(check(loaded, spec), spec)
    yield from (Message("check", f"{f.level}: {f.message}") for f in report.findings if f.level == "warning")
    raise_for_errors(report)
    teacher = ", ".join(f"{name} {value:.4g}" for name, value in report.teacher_metrics.items())
    yield Message("check", f"teacher on the validation data: {teacher}")
    yield Message("check", report.forecast)
    similarity = measure_similarity(loaded, spec.train, spec.similarity, report.student, report.teacher, spec.seed)
    yield Message("compare", similarity_sentence(similarity))
    return StudyFacts(
        environment={**_environment(loaded), "task_sha256": task_digest(spec)},
        teacher=storable(report.teacher_metrics),
        layers={"student": report.student, "teacher": report.teacher},
        similarity=similarity,
    )


def _environment(loaded: LoadedTask) -> dict[str, str]:
    """What a later reader needs to know about this machine."""
    device = torch.cuda.get_device_name(loaded.device) if loaded.device.type == "cuda" else platform.processor()
    versions = {"mapsearch": __version__, "torch": torch.__version__, "optuna": version("optuna")}
    return {"python": platform.python_version(), "system": platform.platform(), "device": device, **versions}
