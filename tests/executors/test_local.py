import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_tasks import Clusters, load, make_plans, make_space

from mapsearch.core.errors import StudyFailed
from mapsearch.core.events import RunsLost, RunsStarted
from mapsearch.core.execution import Execution
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.spec import TrainSpec
from mapsearch.executors.inline import InlineExecutor
from mapsearch.executors.local import LocalExecutor
from mapsearch.executors.worker import Setup

HERE = Path(__file__).parents[1]
TRAIN = TrainSpec(steps=12, batch_size=16)
MAPPED = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5, logit_weight=1.0)
RECIPES = (Recipe(), Recipe(logit_weight=1.0), MAPPED)
SPACE = make_space(load(Clusters()))


def setup(task: str = "Clusters", workers: int | str = 1, **options: object) -> Setup:
    execution = Execution(devices="cpu", workers=workers)
    return Setup(f"small_tasks.py:{task}", HERE, options, Path(), TRAIN, execution, "cpu", SPACE)


@pytest.fixture
def open_executor() -> Iterator[object]:
    opened = []

    def open_one(here: Setup) -> LocalExecutor:
        opened.append(LocalExecutor(here))
        return opened[-1]

    yield open_one
    for executor in opened:
        executor.close()


def results(executor, cohorts):
    return {event.key: event for event in executor.run(cohorts) if isinstance(event, RunResult)}


def test_gives_what_inline_gives_and_prints_nothing_on_stdout(open_executor, capfd):
    one, two, three = make_plans(*RECIPES)
    cohorts = [(one, two), (three,)]
    inline = results(InlineExecutor(load(Clusters()), SPACE, TRAIN, Execution()), cohorts)
    local = results(open_executor(setup(talk=True, workers=2)), cohorts)
    assert local.keys() == inline.keys() == {one.key, two.key, three.key}
    for key, run in local.items():
        assert run.metrics == pytest.approx(inline[key].metrics, rel=1e-5)
        assert run.scales == pytest.approx(inline[key].scales, rel=1e-5)
        assert [loss for _, loss in run.curve] == pytest.approx([loss for _, loss in inline[key].curve], rel=1e-4)
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("a student is born") == 3 + 2, "one for each run, and one that each worker looks at first"


def test_a_worker_that_is_killed_is_reported_and_replaced(open_executor):
    executor = open_executor(setup())
    long, short = make_plans(MAPPED, n_steps=100_000)[0], make_plans(*RECIPES)[1]
    events, workers = [], []
    for event in executor.run([(long,), (short,)]):
        events += [event] if isinstance(event, RunsStarted | RunsLost | RunResult) else []
        if isinstance(event, RunsStarted):
            pid, _, device = event.worker.partition("@")
            workers.append(int(pid))
            assert device == "cpu"
            if event.plans == (long,):
                os.kill(int(pid), signal.SIGKILL)
    assert [type(event) for event in events] == [RunsStarted, RunsLost, RunsStarted, RunResult]
    assert events[1] == RunsLost((long,), "the worker process died (exit code -9)")
    assert events[3].key == short.key
    assert workers[0] != workers[1]

    os.kill(workers[1], signal.SIGKILL)  # while it waits: what it is given next is lost, unless the death is seen first
    other = make_plans(*RECIPES)[2]
    events = [event for event in executor.run([(short,), (other,)]) if isinstance(event, RunsLost | RunResult)]
    assert events[0] == RunsLost((short,), "the worker process died (exit code -9)") or events[0].key == short.key
    assert isinstance(events[1], RunResult)
    assert events[1].key == other.key
    assert len(events) == 2


def test_an_error_of_the_tasks_data_comes_back_with_its_line(open_executor):
    (plan,) = make_plans(Recipe(logit_weight=1.0))
    executor = open_executor(setup("LostFile"))
    for _ in range(2):  # the worker lives on
        started, lost = (event for event in executor.run([(plan,)]) if event is not None)
        assert isinstance(started, RunsStarted)
        assert lost.plans == (plan,)
        assert lost.error.startswith("FileNotFoundError: points.bin is gone (small_tasks.py:")


@pytest.mark.parametrize(
    ("task", "error"),
    [
        ("Cluster", r"could not load the task: .* has no class `Cluster`; did you mean `Clusters`\?"),
        (
            "NoTeacher",
            r"could not load the task: `teacher\(\)` failed: OSError: the weights are not here \(small_tasks\.py:",
        ),
    ],
)
def test_a_task_that_cannot_be_loaded_fails_the_study(open_executor, task, error):
    with pytest.raises(StudyFailed, match=error):
        list(open_executor(setup(task)).run([make_plans(Recipe())]))


def test_without_a_number_there_is_a_worker_per_core():
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert LocalExecutor(setup(workers="auto")).n_workers == n_cores


CONTROLLER = """
import sys
from test_local import MAPPED, RunsStarted, LocalExecutor, make_plans, setup
for event in LocalExecutor(setup()).run([make_plans(MAPPED, n_steps=10**7)]):
    if isinstance(event, RunsStarted):
        print(event.worker, flush=True)
"""


def test_workers_leave_when_their_controller_is_killed():
    path = os.pathsep.join([str(HERE), str(HERE / "executors"), str(HERE.parent)])
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as controller:
        pid = controller.stdout.readline().decode().partition("@")[0]
        assert pid.isdecimal()
        controller.kill()
        # the worker holds the pipe's other end: this returns, before the test's time is up, when it is gone
        controller.stderr.read()


def test_a_cohort_out_of_memory_goes_on_in_smaller_ones_and_a_new_process(open_executor):
    executor = open_executor(setup("Crowded", limit=2))
    plans = make_plans(*[MAPPED] * 5)
    events = [event for event in executor.run([plans]) if isinstance(event, RunsStarted | RunsLost | RunResult)]
    assert not any(isinstance(event, RunsLost) for event in events)
    assert {e.key: e.state for e in events if isinstance(e, RunResult)} == {plan.key: "complete" for plan in plans}
    started = [event for event in events if isinstance(event, RunsStarted)]
    assert len({event.worker for event in started}) == 3  # five do not fit, then three do not
    assert sorted(e.attempt for e in events if isinstance(e, RunResult)) == [2, 2, 3, 3, 3]
    again = [event for event in executor.run([plans]) if isinstance(event, RunsStarted)]
    assert max(len(event.plans) for event in again) <= 2  # learnt once
