"""Before the first run of a study: it is got, its task is loaded and checked, its networks are compared."""

from collections.abc import Generator, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

from mapsearch import search
from mapsearch.check import check, measure_baseline, raise_for_errors
from mapsearch.controller.context import Update
from mapsearch.controller.forecast import with_forecast
from mapsearch.core.default_metric import with_default_metric
from mapsearch.core.events import Message
from mapsearch.core.facts import Network, StudyFacts
from mapsearch.core.findings import CheckReport
from mapsearch.core.layers import Layer
from mapsearch.core.metrics import storable
from mapsearch.core.similarity import Similarity
from mapsearch.core.spec import StudySpec
from mapsearch.report.similarity import similarity_sentence
from mapsearch.report.standing import stage_text
from mapsearch.similarity.measure import measure_similarity
from mapsearch.store.handle import StudyHandle
from mapsearch.store.store import LEASE_SECONDS, Store
from mapsearch.tasks.devices import environment
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import load_task, task_digest
from mapsearch.tasks.memory import free_unused_memory
from mapsearch.tasks.user_code import user_code

CHANGED_TASK = (
    "warning: the task file has changed since this study began; "
    "if its data or networks changed, give the study a new `name`"
)


def announce_wait(store: Store, name: str, lease_seconds: float = LEASE_SECONDS) -> Iterator[Message]:
    """Say why it takes a while to get the study, if it does."""
    if holder := store.doubtful_holder(name, lease_seconds=lease_seconds):
        waiting = f"waiting up to {lease_seconds:g} s to see whether it does"
        yield Message("resume", f"{holder} had the study last and may still live; {waiting}")


def prepare(
    study: StudyHandle, spec: StudySpec, cache_dir: Path, *, inline: bool
) -> Generator[Update, None, LoadedTask | None]:
    """Check and compare what was not yet, and give the loaded task if the students are trained in this process.

    Workers load it themselves, and need the memory.
    """
    task, stages = spec.task_reference(cache_dir), search.forecast_stages(spec)
    digest = task_digest(task)
    study.expect_runs(sum(stage.n_runs for stage in stages))
    checked = None
    if not study.facts().is_checked:
        study.set_state("checking")
        yield Message("load", f"data and networks of {spec.task}")  # some tasks train their teacher here, for minutes
        yield Message("check", stage_text("check"))
        checked = load_task(task, spec.execution)
        report = yield from _check(checked, spec)
        if "metric" not in spec.model_fields_set:
            spec = with_default_metric(spec, report.outputs)
            default = f"`metric: {spec.metric}` and `direction: {spec.direction}`"
            yield Message("check", f"{default}: the study file states no metric, so it follows the outputs")
            study.update_spec(spec.to_json(), folder=str(spec.folder), study_file="")
        similarity = yield from _compare(checked, spec, report)
        machine = {**environment(checked.device), "optuna": version("optuna"), "task_sha256": digest}
        layers: Mapping[Network, tuple[Layer, ...]] = {"student": report.student, "teacher": report.teacher}
        teacher = storable(report.teacher_metrics)
        with user_code("measuring the untrained student"):
            baseline = measure_baseline(checked, spec)
        facts = StudyFacts(
            machine, teacher, layers, similarity, report.outputs, report.redraws, report.copied, baseline=baseline
        )
        study.record_facts(facts)
    yield from _resume(study, digest)
    if inline:
        return checked or load_task(task, spec.execution)
    checked = None
    free_unused_memory()
    return None


def _resume(study: StudyHandle, digest: str) -> Iterator[Update]:
    """Queue interrupted runs again, and report what has changed since."""
    again = study.release_runs()
    if study.state() == "failed":
        again += reopen_failed_runs(study)
    if again:
        yield Message("resume", f"{again} runs were interrupted or failed, and are run again")
    if digest != study.facts().environment["task_sha256"]:
        yield Message("resume", CHANGED_TASK)
        study.add_event("warning", CHANGED_TASK)


def reopen_failed_runs(study: StudyHandle) -> int:
    """Lets what a failed study tries again wait: runs, and the trials that they decide; gives how many runs."""
    trials, runs = study.trials(), study.runs()
    redo = search.runs_to_redo(trials, runs)
    return study.reopen_runs(redo, search.trials_to_redo(trials, runs, redo))


def _check(loaded: LoadedTask, spec: StudySpec) -> Generator[Update, None, CheckReport]:
    yield from loaded.messages
    report = with_forecast(check(loaded, spec), spec)
    yield from (Message("check", f"{f.level}: {f.message}") for f in report.findings if f.level == "warning")
    raise_for_errors(report)
    teacher = ", ".join(f"{name} {value:.4g}" for name, value in report.teacher_metrics.items())
    yield Message("check", f"teacher on the validation data: {teacher}")
    yield Message("check", report.forecast)
    return report


def _compare(loaded: LoadedTask, spec: StudySpec, report: CheckReport) -> Generator[Update, None, Similarity]:
    yield Message("compare", stage_text("compare"))
    with user_code("comparing the layers"):
        similarity = measure_similarity(loaded, spec.train, spec.similarity, report.student, report.teacher, spec.seed)
    yield Message("compare", similarity_sentence(similarity))
    return similarity
