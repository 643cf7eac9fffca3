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

from mapsearch import __version__
from mapsearch.check import check, demand
from mapsearch.core.errors import NoDatabase, StudyBusy, StudyFailed, StudyNotFound
from mapsearch.core.layers import Layer
from mapsearch.core.records import DEFAULT_STORAGE, Note, Verdict
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.executors.inline import InlineExecutor
from mapsearch.executors.local import LocalExecutor
from mapsearch.executors.worker import Setup
from mapsearch.interrupt import Interrupt
from mapsearch.loop import stages
from mapsearch.loop.desk import Desk, News
from mapsearch.probe import compare_bench
from mapsearch.report import similarity_sentence
from mapsearch.store.store import Store
from mapsearch.tasks.loading import Bench, cache_folder, load_bench, task_digest

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
    for news in run(spec, storage, inline=inline):
        verdict = news if isinstance(news, Verdict) else verdict
    assert verdict is not None
    return verdict


def run(spec: StudySpec, storage: str, study_file: str = "", *, inline: bool = False) -> Iterator[News]:
    """`run_study` as an iterator of what happens."""
    cache_dir = cache_folder(storage, spec.name)
    bench = None
    found: dict[str, Any] = {}
    if not _is_known(storage, spec):  # bad input is refused before anything is stored
        yield Note("load", f"data and networks of {spec.task}")  # some tasks train their teacher here, for minutes
        bench = load_bench(spec, cache_dir)
        found = yield from _check_and_compare(bench, spec)
        bench = bench if inline else None  # the workers need its memory
    with Store.open(storage) as store:
        store.create_study(spec.name, spec.to_json(), folder=str(spec.folder), study_file=study_file)
        store.acquire(spec.name)
        try:
            store.record_facts(spec.name, **found)
            again = store.release_runs(spec.name, crashed=store.study(spec.name).state == "failed")
            if again:
                yield Note("resume", f"{again} runs were cut off or failed, and start again")
            if task_digest(spec) != store.study(spec.name).facts["environment"]["task_sha256"]:
                yield Note("resume", CHANGED_TASK)
                store.add_event(spec.name, "caution", CHANGED_TASK)
            store.set_state(spec.name, "running")
            if inline and bench is None:
                bench = load_bench(spec, cache_dir)
            with Interrupt() as interrupt:
                desk = _open_desk(store, spec, cache_dir, bench if inline else None, interrupt)
                try:
                    yield from _stages(desk)
                finally:
                    desk.executor.close()
        except StudyBusy:
            raise  # the study is another's now
        except BaseException as error:
            store.release_runs(spec.name)
            store.set_state(spec.name, "failed" if isinstance(error, StudyFailed) else "stopped")
            raise
        finally:
            store.release(spec.name)


def _is_known(storage: str, spec: StudySpec) -> bool:
    """Whether the database holds this study, unchanged: then it was checked and compared before."""
    try:
        with Store.open(storage, create=False) as store:
            facts = store.study(spec.name).facts
            store.create_study(spec.name, spec.to_json(), folder=str(spec.folder), study_file="")
            return "similarity" in facts
    except (NoDatabase, StudyNotFound):
        return False


def _check_and_compare(bench: Bench, spec: StudySpec) -> Generator[News, None, dict[str, Any]]:
    yield from (Note("check", note) for note in bench.notes)
    report = check(bench, spec)
    yield from (Note("check", f"{f.level}: {f.message}") for f in report.findings if f.level == "warning")
    demand(report)
    teacher = ", ".join(f"{name} {value:.4g}" for name, value in report.teacher_metrics.items())
    yield Note("check", f"teacher on the validation data: {teacher}")
    yield Note("check", report.forecast)
    similarity = compare_bench(bench, spec, report.student, report.teacher)
    yield Note("compare", similarity_sentence(similarity))
    return {
        "environment": {**_environment(bench), "task_sha256": task_digest(spec)},
        "teacher": report.teacher_metrics,
        "layers": {"student": [x.to_json() for x in report.student], "teacher": [x.to_json() for x in report.teacher]},
        "similarity": similarity.to_json(),
    }


def _environment(bench: Bench) -> dict[str, str]:
    """What a later reader needs to know about this machine."""
    device = torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else platform.processor()
    versions = {"mapsearch": __version__, "torch": torch.__version__, "optuna": version("optuna")}
    return {"python": platform.python_version(), "system": platform.platform(), "device": device, **versions}


def _open_desk(store: Store, spec: StudySpec, cache_dir: Path, bench: Bench | None, interrupt: Interrupt) -> Desk:
    facts = store.study(spec.name).facts
    student, teacher = (tuple(Layer.from_json(x) for x in facts["layers"][name]) for name in ("student", "teacher"))
    space = RecipeSpace(student, teacher)
    executor: InlineExecutor | LocalExecutor
    if bench is not None:
        executor = InlineExecutor(bench, space, spec.train)
    else:
        setup = Setup(spec.task, spec.folder, spec.options, cache_dir, spec.train, spec.train.device, space)
        executor = LocalExecutor(setup, None if spec.search.workers == "auto" else spec.search.workers)
    return Desk(store, spec, space, Similarity.from_json(facts["similarity"]), executor, interrupt)


def _stages(desk: Desk) -> Iterator[News]:
    logits = yield from stages.tune(desk)
    noise = yield from stages.noise(desk, logits)
    if noise is not None and noise.blind:
        yield Note("search", "skipped: all runs of the first rung end alike, and would steer it nowhere")
    elif noise is not None and noise.flat and desk.spec.search.when_flat == "stop":
        yield Note("search", "skipped: `search.when_flat: stop` and mappings do not differ beyond seed noise")
    else:
        yield from stages.try_proposals(desk, logits)
    yield from stages.shortlist(desk)
    nominee = yield from stages.confirm(desk)
    yield stages.give_verdict(desk, nominee, noise)
