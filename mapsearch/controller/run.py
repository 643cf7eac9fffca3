"""THE LOOP: with its inner room `loop/` the only place that sees steps, store and executor together.

A study file is checked, its networks are compared, recipes are proposed, students are distilled,
runs are stored; the best is confirmed and judged. Every stage first looks at what the database
already holds and does the rest, so that the same command resumes after any end.
"""

import platform
from collections.abc import Generator, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mapsearch import __version__, search
from mapsearch.check import check, raise_for_errors
from mapsearch.controller import stages
from mapsearch.controller.context import StudyContext, Update
from mapsearch.controller.interrupt import Interrupt
from mapsearch.controller.proposals import try_proposals
from mapsearch.core.errors import NoDatabase, StudyBusy, StudyFailed, StudyNotFound
from mapsearch.core.events import Message
from mapsearch.core.layers import Layer
from mapsearch.core.metrics import storable
from mapsearch.core.runs import RunKey
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.core.verdict import Verdict
from mapsearch.executors.base import Executor, Setup
from mapsearch.executors.inline import InlineExecutor
from mapsearch.executors.local import LocalExecutor
from mapsearch.executors.scheduler import Scheduler
from mapsearch.executors.session import Session
from mapsearch.report import similarity_sentence
from mapsearch.similarity.measure import measure_similarity
from mapsearch.store.handle import StudyHandle
from mapsearch.store.store import Store
from mapsearch.tasks.loading import LoadedTask, cache_folder, load_task, task_digest

CHANGED_TASK = (
    "caution: the task file is not the one this study began with; if data or networks changed, give a new name"
)


def run_study(spec: StudySpec, storage: str = DEFAULT_STORAGE, *, inline: bool = False) -> Verdict:
    """Run a study to its verdict, or go on with it where it stopped.

    Args:
        storage: SQLAlchemy URL of the study database.
        inline: train in this process, without workers.

    Raises:
        MapsearchError: the study cannot be run as it is set up (exit code 2), or failed (exit code 1).
        KeyboardInterrupt: Ctrl-C; everything finished is saved, and the same call goes on.
    """
    verdict = None
    for update in run(spec, storage, inline=inline):
        verdict = update if isinstance(update, Verdict) else verdict
    assert verdict is not None
    return verdict


def run(spec: StudySpec, storage: str, study_file: str = "", *, inline: bool = False) -> Iterator[Update]:
    """`run_study` as an iterator of what happens."""
    cache_dir = cache_folder(storage, spec.name)
    loaded = None
    found: dict[str, Any] = {}
    if not _is_known(storage, spec):  # bad input is refused before anything is stored
        yield Message("load", f"data and networks of {spec.task}")  # some tasks train their teacher here, for minutes
        loaded = load_task(spec, cache_dir)
        found = yield from _check_and_compare(loaded, spec)
        loaded = loaded if inline else None  # the workers need its memory
    with Store.open(storage) as store:
        store.create_study(spec.name, spec.to_json(), folder=str(spec.folder), study_file=study_file)
        with store.control(spec.name) as study, Interrupt() as interrupt:
            study.update_spec(spec.to_json(), folder=str(spec.folder))
            try:
                study.record_facts(**found)
                again = study.release_runs()
                if study.study().state == "failed":
                    again += study.reopen_runs(_runs_to_redo(study))
                if again:
                    yield Message("resume", f"{again} runs were cut off or failed, and start again")
                if task_digest(spec) != study.study().facts["environment"]["task_sha256"]:
                    yield Message("resume", CHANGED_TASK)
                    study.add_event("caution", CHANGED_TASK)
                study.set_state("running")
                if inline and loaded is None:
                    loaded = load_task(spec, cache_dir)
                context = _open_context(study, spec, cache_dir, loaded if inline else None, interrupt)
                try:
                    yield from _stages(context)
                finally:
                    context.scheduler.close()
            except StudyBusy:
                raise  # the study is another's now
            except BaseException as error:
                study.release_runs()
                study.set_state("failed" if isinstance(error, StudyFailed) else "stopped")
                raise


def _is_known(storage: str, spec: StudySpec) -> bool:
    """Whether the database holds this study: then it was checked and compared before."""
    try:
        with Store.open(storage, create=False) as store:
            return "similarity" in store.study(spec.name).facts
    except (NoDatabase, StudyNotFound):
        return False


def _runs_to_redo(study: StudyHandle) -> list[RunKey]:
    return search.runs_to_redo(study.trials(), study.runs(), study.study().facts.get("finalists", ()))


def _check_and_compare(loaded: LoadedTask, spec: StudySpec) -> Generator[Update, None, dict[str, Any]]:
    yield from (Message("check", note) for note in loaded.notes)
    report = check(loaded, spec)
    yield from (Message("check", f"{f.level}: {f.message}") for f in report.findings if f.level == "warning")
    raise_for_errors(report)
    teacher = ", ".join(f"{name} {value:.4g}" for name, value in report.teacher_metrics.items())
    yield Message("check", f"teacher on the validation data: {teacher}")
    yield Message("check", report.forecast)
    similarity = measure_similarity(loaded, spec, report.student, report.teacher)
    yield Message("compare", similarity_sentence(similarity))
    return {
        "environment": {**_environment(loaded), "task_sha256": task_digest(spec)},
        "teacher": storable(report.teacher_metrics),
        "layers": {"student": [x.to_json() for x in report.student], "teacher": [x.to_json() for x in report.teacher]},
        "similarity": similarity.to_json(),
    }


def _environment(loaded: LoadedTask) -> dict[str, str]:
    """What a later reader needs to know about this machine."""
    device = torch.cuda.get_device_name(loaded.device) if loaded.device.type == "cuda" else platform.processor()
    versions = {"mapsearch": __version__, "torch": torch.__version__, "optuna": version("optuna")}
    return {"python": platform.python_version(), "system": platform.platform(), "device": device, **versions}


def _open_context(
    study: StudyHandle, spec: StudySpec, cache_dir: Path, loaded: LoadedTask | None, interrupt: Interrupt
) -> StudyContext:
    facts = study.study().facts
    student, teacher = (tuple(Layer.from_json(x) for x in facts["layers"][name]) for name in ("student", "teacher"))
    space = RecipeSpace(student, teacher)
    executor: Executor
    if loaded is not None:
        executor = InlineExecutor(Session(loaded, space, spec.train, spec.execution.cache_bytes))
    else:
        device = spec.execution.first_device
        setup = Setup(spec.task, spec.folder, spec.options, cache_dir, spec.train, spec.execution, device, space)
        executor = LocalExecutor(setup)
    scheduler = Scheduler(executor, spec.execution)
    return StudyContext(study, spec, space, Similarity.from_json(facts["similarity"]), scheduler, interrupt)


def _stages(context: StudyContext) -> Iterator[Update]:
    logits = yield from stages.tune(context)
    noise = yield from stages.noise(context, logits)
    if noise is not None and noise.blind:
        yield Message("search", "skipped: all runs of the first rung end alike, and would steer it nowhere")
    elif noise is not None and noise.flat and context.spec.search.when_flat == "stop":
        yield Message("search", "skipped: `search.when_flat: stop` and mappings do not differ beyond seed noise")
    else:
        yield from try_proposals(context, logits)
    yield from stages.shortlist(context)
    nominee = yield from stages.confirm(context)
    yield stages.give_verdict(context, nominee, noise)
