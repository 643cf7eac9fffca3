import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path

import pytest
from scheduled_runs import results, run
from small_tasks import Clusters, load, make_plans, make_space

from mapsearch.core.errors import StudyFailed
from mapsearch.core.events import Message, RunsLost, RunsStarted
from mapsearch.core.execution import Execution
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.task_reference import TaskReference
from mapsearch.core.train_spec import TrainSpec
from mapsearch.executors import local
from mapsearch.executors.base import Setup, WorkerDied
from mapsearch.executors.inline import InlineExecutor
from mapsearch.executors.local import LocalExecutor, n_workers
from mapsearch.executors.scheduler import Scheduler
from mapsearch.executors.session import Session

HERE = Path(__file__).parents[1]
TRAIN = TrainSpec(steps=12, batch_size=16)
MAPPED = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5, output_weight=1.0)
RECIPES = (Recipe(), Recipe(output_weight=1.0), MAPPED)
SPACE = make_space(load(Clusters()))


def setup(task: str = "Clusters", workers: int = 1, stall_seconds: float = 60.0, **options: object) -> Setup:
    execution = Execution(devices="cpu", workers=workers, stall_seconds=stall_seconds)
    return Setup(TaskReference(f"small_tasks.py:{task}", HERE, options, Path()), TRAIN, execution, "cpu", SPACE)


@pytest.fixture
def open_scheduler() -> Iterator[object]:
    opened = []

    def open_one(here: Setup) -> Scheduler:
        opened.append(Scheduler(LocalExecutor(here), here.execution))
        return opened[-1]

    yield open_one
    for scheduler in opened:
        scheduler.close()


def inline_scheduler() -> Scheduler:
    return Scheduler(InlineExecutor(Session(load(Clusters()), SPACE, TRAIN, 2**20)), Execution())


def test_gives_what_inline_gives_and_prints_nothing_on_stdout(open_scheduler, capfd):
    one, two, three = make_plans(*RECIPES)
    cohorts = [(one, two), (three,)]
    inline = results(inline_scheduler(), cohorts)
    workers = results(open_scheduler(setup(talk=True, workers=2)), cohorts)
    assert workers.keys() == inline.keys() == {one.key, two.key, three.key}
    for key, result in workers.items():
        assert result.metrics == pytest.approx(inline[key].metrics, rel=1e-5)
        assert result.scales == pytest.approx(inline[key].scales, rel=1e-5)
        assert [loss for _, loss in result.curve] == pytest.approx([loss for _, loss in inline[key].curve], rel=1e-4)
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err.count("a student is born") == 3 + 2, "one for each run, and one that each worker looks at first"


def test_a_worker_that_is_killed_is_reported_and_replaced(open_scheduler):
    scheduler = open_scheduler(setup())
    long, short = make_plans(MAPPED, n_steps=100_000)[0], make_plans(*RECIPES)[1]
    events, workers = [], []
    for event in run(scheduler, [(long,), (short,)]):
        events += [event] if isinstance(event, RunsStarted | RunsLost | RunResult) else []
        if isinstance(event, RunsStarted):
            pid, _, device = event.worker.partition("@")
            workers.append(int(pid))
            assert device == "cpu"
            if event.plans[0].key == long.key:
                os.kill(int(pid), signal.SIGKILL)
    kinds = [RunsStarted, RunsLost, RunsStarted, RunResult, RunsStarted, RunsLost, RunResult]
    assert [type(event) for event in events] == kinds
    assert events[1] == RunsLost((long,), "the worker process died (exit code -9)")
    assert (events[3].key, events[3].state) == (short.key, "complete")
    assert events[6] == RunResult(long.key, "crashed", error=events[1].error, attempt=2)
    assert workers[0] != workers[1] == workers[2]


def test_an_error_of_the_tasks_data_comes_back_with_its_line_and_the_worker_lives_on(open_scheduler):
    (plan,) = make_plans(Recipe(output_weight=1.0))
    events = run(open_scheduler(setup("LostFile")), [(plan,)])
    first, lost, again, _, crashed = (event for event in events if not isinstance(event, Message))
    assert first.worker == again.worker
    assert lost.plans == (plan,)
    assert (crashed.key, crashed.state) == (plan.key, "crashed")
    for event in (lost, crashed):
        assert re.match(r"FileNotFoundError: points.bin is gone \(small_tasks.py:", event.error)


def test_a_loss_that_leaves_ends_its_run_alone_and_the_worker_lives_on(open_scheduler):
    cohorts = [(plan,) for plan in make_plans(*RECIPES[:2])]
    events = list(run(open_scheduler(setup("Leaving")), cohorts))
    first, crashed, second, _ = events
    assert first.worker == second.worker
    assert (crashed.key, crashed.state) == (cohorts[0][0].key, "crashed")
    assert re.search(r"`sys.exit\(0\)` was called \(small_tasks.py:", crashed.error)


@pytest.mark.slow
def test_a_forward_that_never_returns_is_given_up_and_the_study_goes_on(open_scheduler):
    stuck, other = make_plans(Recipe(output_weight=1.0), seed=13)[0], make_plans(*RECIPES)[1]
    scheduler = open_scheduler(setup("Stuck", stall_seconds=20.0))
    events = list(run(scheduler, [(stuck,), (other,)]))
    ended = {event.key: event for event in events if isinstance(event, RunResult)}
    assert ended[other.key].state == "complete"
    assert ended[stuck.key].state == "crashed"
    assert "no progress for 20 s" in ended[stuck.key].error


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
def test_a_task_that_cannot_be_loaded_fails_the_study(open_scheduler, task, error):
    with pytest.raises(StudyFailed, match=error):
        list(run(open_scheduler(setup(task)), [make_plans(Recipe())]))


def test_without_a_number_there_is_a_worker_per_core():
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert n_workers(Execution(devices="cpu")) == n_cores


CONTROLLER = """
import sys
from test_local import *
task, seed = sys.argv[1], int(sys.argv[2])
here = setup(task)
plans = make_plans(MAPPED, n_steps=10**7, seed=seed)
for event in run(Scheduler(LocalExecutor(here), here.execution), [plans]):
    if isinstance(event, RunsStarted):
        print(event.worker, flush=True)
"""


@pytest.mark.parametrize(("task", "seed"), [("Clusters", 5), ("Stuck", 13)])
def test_workers_leave_when_their_controller_is_killed(task, seed):
    path = os.pathsep.join([str(HERE), str(HERE / "executors"), str(HERE.parent)])
    with subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, task, str(seed)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as controller:
        pid = controller.stdout.readline().decode().partition("@")[0]
        assert pid.isdecimal()
        controller.kill()
        # the worker holds the pipe's other end: this returns, before the test's time is up, when it is gone
        controller.stderr.read()


def test_workers_import_nothing_from_the_working_folder(open_scheduler, tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise SystemExit('a stranger was executed')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")  # as `python -c` and an interactive Python have it
    monkeypatch.syspath_prepend(str(tmp_path))  # as `python -m` has it
    monkeypatch.delenv("PYTHONPATH", raising=False)
    (event,) = results(open_scheduler(setup()), [make_plans(Recipe())]).values()
    assert event.state == "complete"


def test_a_cohort_out_of_memory_goes_on_in_smaller_ones_and_a_new_process(open_scheduler):
    scheduler = open_scheduler(setup("Crowded", limit=2))
    plans = make_plans(*[MAPPED] * 5)
    events = [event for event in run(scheduler, [plans]) if isinstance(event, RunsStarted | RunsLost | RunResult)]
    assert not any(isinstance(event, RunsLost) for event in events)
    assert {e.key: e.state for e in events if isinstance(e, RunResult)} == {plan.key: "complete" for plan in plans}
    started = [event for event in events if isinstance(event, RunsStarted)]
    assert len({event.worker for event in started}) == 3  # five do not fit, then three do not
    assert sorted(e.attempt for e in events if isinstance(e, RunResult)) == [2, 2, 3, 3, 3]
    again = [event for event in run(scheduler, [plans]) if isinstance(event, RunsStarted)]
    assert max(len(event.plans) for event in again) <= 2  # learnt once


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_under_a_real_limit_on_memory_a_run_goes_on_in_parts_and_in_a_new_process(open_scheduler, monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "131072")  # what is freed goes back, and the limit leaves what it says
    (plan,) = make_plans(Recipe(), n_steps=2)
    events = list(run(open_scheduler(setup("Limited")), [(plan,)]))
    ended = [event for event in events if isinstance(event, RunResult)]
    assert [(event.state, event.key) for event in ended] == [("complete", plan.key)]
    assert ended[0].notes[0].startswith("too little memory for whole batches")
    assert len({event.worker for event in events if isinstance(event, RunsStarted)}) == ended[0].attempt > 1
    assert not any(isinstance(event, RunsLost) for event in events)


def one_worker(executor: LocalExecutor):
    """The process of a worker that has just loaded its task."""
    executor.start(0)
    while not executor.poll(1.0):
        pass
    return executor._workers[0]


def test_workers_outlive_the_thread_that_took_the_first_events(open_scheduler):
    events = run(open_scheduler(setup()), [make_plans(MAPPED, n_steps=300)])
    taken = []
    thread = threading.Thread(target=lambda: taken.append(next(events)))
    thread.start()
    thread.join()
    rest = [event for event in events if isinstance(event, RunsLost | RunResult)]
    assert isinstance(taken[0], RunsStarted)
    assert [(type(event), event.state) for event in rest] == [(RunResult, "complete")]


def test_a_worker_that_dies_after_its_last_message_can_be_stopped():
    executor = LocalExecutor(setup())
    one_worker(executor).process.kill()
    while executor.poll(1.0) != [(0, WorkerDied("the worker process died (exit code -9)"))]:
        pass
    executor.stop(0)
    executor.close()


def test_a_worker_that_dies_in_the_middle_of_a_message_is_reported():
    executor = LocalExecutor(setup())
    worker = one_worker(executor)
    cut, theirs = Pipe()
    os.write(theirs.fileno(), (100).to_bytes(4, "big") + b"cut off")  # a message begins with its length
    theirs.close()
    worker.connection.close()
    worker.connection = cut
    [(_, died)] = executor.poll(1.0)
    assert isinstance(died, WorkerDied)
    executor.close()


def test_a_process_that_cannot_start_is_a_worker_that_died(open_scheduler, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    too_much_for_a_pipe = setup(x="y" * 3_000_000)
    with pytest.raises(StudyFailed, match=r"exit code 1\) before it had loaded the task"):
        list(run(open_scheduler(too_much_for_a_pipe), [make_plans(Recipe())]))


def test_a_thread_that_a_broken_task_left_behind_holds_up_nobody(open_scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "GRACE_SECONDS", 0.5)
    code = "import threading\nthreading.Thread(target=threading.Event().wait).start()\nraise OSError('broken')\n"
    (tmp_path / "threaded.py").write_text(code)
    with pytest.raises(StudyFailed, match="broken"):
        list(
            run(
                open_scheduler(replace(setup(), task=TaskReference("threaded.py:X", tmp_path, {}, Path()))),
                [make_plans(Recipe())],
            )
        )
