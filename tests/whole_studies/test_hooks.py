"""A task that raises, leaves, dies or hangs in any of its methods: every run ends once, and no other is touched."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from faulty_task import OF_A_COHORT, OF_A_STUDENT, OF_THE_CHECK, Faulty
from hanging import Clock, Hanging
from scheduled_runs import run
from small_tasks import Clusters, load, make_plans, make_space

from mapsearch.controller.run import run as run_controller
from mapsearch.controller.run import run_study
from mapsearch.core.errors import MapsearchError, StudyFailed
from mapsearch.core.events import Message, RunsLost, RunsStarted
from mapsearch.core.execution import Execution
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunKey, RunResult
from mapsearch.core.study_file import load_study, stored_study
from mapsearch.core.task_reference import TaskReference
from mapsearch.core.train_spec import TrainSpec
from mapsearch.executors.base import Setup
from mapsearch.executors.scheduler import Scheduler
from mapsearch.store.store import Store
from mapsearch.tasks.task import Task

TESTS = Path(__file__).parents[1]
MAPPED = Recipe(LayerMapping([("blocks.0", "blocks.1", 1.0)]), feature_share=0.5, output_weight=1.0)

STUDY = {
    "task": f"{TESTS / 'faulty_task.py'}:Faulty",
    "train": {"steps": 12, "batch_size": 16},
    "similarity": {"samples": 32},
}


@pytest.fixture
def file(tmp_path):
    """What the task of a test reads to know when it is to go wrong."""
    (tmp_path / "fault").write_text("")
    return tmp_path / "fault"


def suffer(file: Path, faults: Mapping[str, str]) -> tuple[dict[str, RunResult], dict[str, str], list[str]]:
    """Train a run for each method, in whose first attempt it goes wrong, and one, ``, in which nothing does.

    Gives the results and the errors of lost attempts, by method, and the workers in the order of the attempts.
    """
    execution, clock = Execution(devices="cpu", workers=1), Clock()
    reference = TaskReference("faulty_task.py:Faulty", TESTS, {"file": str(file)}, Path())
    setup = Setup(reference, TrainSpec(steps=12, batch_size=16), execution, "cpu", make_space(load(Clusters())))
    scheduler = Scheduler(Hanging(setup, clock, file), execution, clock)
    plans = make_plans(*[MAPPED] * (len(faults) + 1))
    method: dict[RunKey, str] = {plan.key: name for plan, name in zip(plans, [*faults, ""], strict=True)}
    results, lost, workers = dict[str, RunResult](), dict[str, str](), list[str]()
    for event in run(scheduler, [(plan,) for plan in plans]):
        if isinstance(event, RunsStarted):
            assert file.read_text() == "", "the fault came"
            name = method[event.plans[0].key]
            file.write_text(f"{name} {faults[name]}" if name and event.plans[0].attempt == 1 else "")
            workers.append(event.worker)
        elif isinstance(event, RunsLost):
            lost[method[event.plans[0].key]] = event.error
        elif isinstance(event, RunResult):
            assert method[event.key] not in results
            results[method[event.key]] = event
    scheduler.close()
    return results, lost, workers


def check_undisturbed(results: Mapping[str, RunResult], names) -> None:
    """The second attempts of these are what a run is in which nothing went wrong."""
    expected = results[""]
    assert (expected.state, expected.attempt) == ("complete", 1)
    for name in names:
        found = results[name]
        assert (found.state, found.attempt) == ("complete", 2)
        assert (found.metrics, found.curve) == (expected.metrics, expected.curve)


def test_every_method_of_a_task_is_here():
    public = {name for name in vars(Task) if not name.startswith("_") and callable(getattr(Task, name))}
    assert {*OF_A_STUDENT, *OF_A_COHORT, *OF_THE_CHECK} == public
    assert public <= set(vars(Faulty))


@pytest.mark.parametrize(("fault", "said"), [("raises", "ValueError: the tape is full"), ("leaves", "sys.exit(0)")])
def test_a_method_that_raises_or_leaves_ends_its_run_alone_and_the_worker_lives_on(file, fault, said):
    results, lost, workers = suffer(file, dict.fromkeys((*OF_A_STUDENT, *OF_A_COHORT), fault))
    assert len(set(workers)) == 1
    assert {(results[name].state, results[name].attempt) for name in OF_A_STUDENT} == {("crashed", 1)}
    assert set(lost) == set(OF_A_COHORT)
    check_undisturbed(results, OF_A_COHORT)
    for error in (*lost.values(), *(results[name].error for name in OF_A_STUDENT)):
        assert said in error
        assert "(faulty_task.py:" in error


@pytest.mark.slow
def test_a_method_that_ends_or_holds_up_its_process_costs_its_run_one_attempt(file):
    methods = ("student", "train_data", "forward", "loss", "metrics")  # all parts of a run
    faults = {name: ("dies", "hangs")[i % 2] for i, name in enumerate(methods)}
    results, lost, workers = suffer(file, faults)
    assert len(set(workers)) == len(methods) + 1
    check_undisturbed(results, methods)
    said = {"dies": "the worker process died (exit code 3)", "hangs": "no progress for 1800 s"}
    assert {name: said[faults[name]] in error for name, error in lost.items()} == dict.fromkeys(methods, True)


@pytest.mark.parametrize("fault", ["raises", "leaves"])
def test_a_method_that_goes_wrong_in_the_check_fails_the_study_and_its_line_is_told(file, fault, tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    for name in (*OF_A_STUDENT, *OF_A_COHORT, *OF_THE_CHECK):
        spec = stored_study({**STUDY, "name": name, "options": {"file": str(file)}})
        file.write_text(f"{name} {fault} always")
        with pytest.raises(MapsearchError, match=r"\(faulty_task\.py:"):
            run_study(spec, url, inline=True)
        with Store.open(url) as store:
            assert (store.study(name).state, store.study(name).n_runs) == ("failed", 0)


def test_a_task_that_ends_its_controller_in_the_check_leaves_a_study_that_goes_on(file, mapsearch, write_study, url):
    study = write_study(**{**STUDY, "options": {"file": str(file)}})
    file.write_text("teacher dies")
    process = mapsearch("run", study, "--storage", url)
    process.communicate(timeout=120)
    assert process.returncode == 3
    with Store.open(url) as store:
        assert store.study("tiny").state == "stopped"
    updates = run_controller(load_study(study), url, inline=True)
    next(update for update in updates if isinstance(update, Message) and update.stage == "tune")
    updates.close()


DYING = """

class Dying(Clusters):
    def loss(self, output, batch):
        if pathlib.Path(__file__).with_name("deadly").exists():
            import os
            os._exit(3)
        return super().loss(output, batch)
"""
"""While there is its file `deadly`, it ends whichever process trains a student."""


@pytest.mark.slow
def test_a_study_whose_workers_all_die_fails_with_the_cause_and_is_the_undisturbed_one_when_put_right(
    spec, url, finished, results
):
    study = spec(task="task.py:Dying")
    with (study.folder / "task.py").open("a") as task:
        task.write(DYING)
    updates = run_controller(study, url)
    next(update for update in updates if isinstance(update, Message) and update.stage == "tune")
    (study.folder / "deadly").touch()
    with pytest.raises(StudyFailed, match=r"stage tune: .*the worker process died \(exit code 3\)"):
        list(updates)
    with Store.open(url) as store:
        assert store.study("tiny").state == "failed"
        assert {run.state for run in store.runs("tiny")} == {"crashed"}
    (study.folder / "deadly").unlink()
    list(run_controller(study, url))
    assert results(url, reproducible=True) == results(finished[1], reproducible=True)
