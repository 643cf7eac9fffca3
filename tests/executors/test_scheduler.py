from types import SimpleNamespace

import pytest
from fake_executor import FakeExecutor
from hanging import Clock
from small_tasks import make_plans

from mapsearch.core.errors import StudyFailed
from mapsearch.core.events import Progress, RunsLost, RunsStarted
from mapsearch.core.execution import Execution
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.distill import CohortSplit
from mapsearch.executors import awake_clock
from mapsearch.executors.base import LoadFailed, Loading, Ready, WorkerDied
from mapsearch.executors.scheduler import CRASHES_IN_A_ROW, CRASHES_PER_TRIAL, Scheduler

ONE, TWO, THREE, FOUR = make_plans(*[Recipe()] * 4)
DIED = "the worker process died (exit code -9)"


def make(n_workers=1, clock=None, **execution):
    fake = FakeExecutor(n_workers)
    return fake, Scheduler(fake, Execution(**execution), clock or Clock())


def until_quiet(scheduler):
    """All events until nothing more happens by itself; a stopped worker takes three calls to be at work again."""
    events = []
    while new := [event for _ in range(3) for event in scheduler.events()]:
        events += new
    return events


def test_cohorts_are_given_out_in_order_and_the_first_free_worker_takes_the_next():
    fake, scheduler = make(2)
    scheduler.submit([(ONE,), (TWO,), (THREE,)])
    assert until_quiet(scheduler) == [RunsStarted((ONE,), "worker 1"), RunsStarted((TWO,), "worker 2")]
    assert (scheduler.n_free, scheduler.is_done) == (0, False)
    fake.finish(1)
    result, started = until_quiet(scheduler)
    assert (result.key, started) == (TWO.key, RunsStarted((THREE,), "worker 2"))
    fake.finish(0)
    until_quiet(scheduler)
    assert (scheduler.n_free, scheduler.is_done) == (1, False)
    fake.finish(1)
    until_quiet(scheduler)
    assert (scheduler.n_free, scheduler.is_done) == (2, True)


def test_only_as_many_workers_start_as_there_are_cohorts():
    fake, scheduler = make(3)
    scheduler.submit([(ONE,)])
    until_quiet(scheduler)
    assert fake.started == [0]
    scheduler.submit([(TWO,)])
    until_quiet(scheduler)
    assert fake.started == [0, 1]


def test_a_lost_cohort_is_tried_again_run_by_run_with_the_next_attempt_and_then_given_up():
    fake, scheduler = make()
    scheduler.submit([(ONE, TWO)])
    until_quiet(scheduler)
    fake.die(0)
    assert until_quiet(scheduler) == [RunsLost((ONE, TWO), DIED), RunsStarted((ONE.next_attempt(),), "worker 2")]
    fake.finish(0)
    until_quiet(scheduler)
    fake.die(0)
    lost, crashed = until_quiet(scheduler)
    assert lost == RunsLost((TWO.next_attempt(),), DIED)
    assert (crashed.key, crashed.state, crashed.attempt, crashed.error) == (TWO.key, "crashed", 2, DIED)
    assert scheduler.is_done


def test_runs_that_came_through_before_the_worker_died_stay():
    fake, scheduler = make()
    scheduler.submit([(ONE, TWO)])
    until_quiet(scheduler)
    fake.say(0, RunResult(ONE.key, "complete"), WorkerDied(DIED))
    assert [e.plans for e in until_quiet(scheduler) if isinstance(e, RunsLost)] == [(TWO,)]


def test_a_worker_that_gives_no_result_is_no_dead_one():
    fake, scheduler = make()
    scheduler.submit([(ONE,)])
    until_quiet(scheduler)
    fake.say(0, Ready("FileNotFoundError: points.bin"))
    assert until_quiet(scheduler)[0] == RunsLost((ONE,), "FileNotFoundError: points.bin")
    assert fake.started == [0]


def test_what_is_said_about_an_attempt_that_is_lost_is_dropped():
    fake, scheduler = make()
    scheduler.submit([(ONE,)])
    until_quiet(scheduler)
    fake.die(0)
    until_quiet(scheduler)
    again = ONE.next_attempt()
    fake.say(0, Progress(ONE.key, 1, 3, 12, 0.5), RunResult(ONE.key, "complete", {"accuracy": 0.111}, attempt=1))
    fake.say(0, RunResult(ONE.key, "complete", {"accuracy": 0.999}, attempt=2), RunResult(TWO.key, "complete"))
    (event,) = until_quiet(scheduler)
    assert (event.attempt, event.metrics) == (again.attempt, {"accuracy": 0.999})


def test_a_cohort_that_does_not_fit_goes_on_smaller_in_a_new_worker_and_so_do_all_others():
    fake, scheduler = make()
    scheduler.submit([(ONE, TWO, THREE, FOUR)])
    until_quiet(scheduler)
    fake.say(0, CohortSplit(((ONE, TWO), (THREE, FOUR)), "out of memory"), Ready())
    first, *_ = until_quiet(scheduler)
    assert first == RunsStarted((ONE.next_attempt(), TWO.next_attempt()), "worker 2")
    assert fake.stopped == [0]
    fake.finish(0)
    until_quiet(scheduler)
    fake.die(0)
    lost, *_ = until_quiet(scheduler)
    assert lost.plans == (THREE.next_attempt(), FOUR.next_attempt())
    fake.die(0)  # a split was not a try: this is the second
    until_quiet(scheduler)
    fake.finish(0)
    until_quiet(scheduler)
    scheduler.submit([(ONE, TWO, THREE)])
    assert until_quiet(scheduler)[-1].plans == (ONE, TWO)


def test_a_worker_without_progress_is_stopped_and_its_runs_are_named():
    clock = Clock()
    fake, scheduler = make(clock=clock, stall_seconds=60)
    scheduler.submit([(ONE, TWO)])
    until_quiet(scheduler)
    clock.now = 50
    fake.say(0, Progress(ONE.key, 1, 10, 12, 0.5))
    until_quiet(scheduler)
    clock.now = 100  # 50 s after the last sign of life
    assert until_quiet(scheduler) == []
    clock.now = 111
    lost = next(scheduler.events())
    assert lost.plans == (ONE, TWO)
    assert "no progress for 60 s (`execution.stall_seconds`)" in lost.error
    assert fake.stopped == [0]


def test_a_worker_that_may_wait_for_a_place_is_waited_for_and_must_load_the_task_in_time_once_it_has_one():
    clock = Clock()
    fake, scheduler = make(clock=clock, stall_seconds=60)
    fake.start = lambda slot: ""  # type: ignore[method-assign]
    scheduler.submit([(ONE,)])
    until_quiet(scheduler)
    clock.now = 10_000
    assert until_quiet(scheduler) == []
    assert not fake.stopped
    fake.say(0, Loading("7@node b"))
    assert until_quiet(scheduler) == []
    clock.now = 10_061
    with pytest.raises(StudyFailed, match=r"no progress for 60 s .* before it had loaded the task"):
        until_quiet(scheduler)


def test_a_worker_that_waited_for_a_place_has_the_name_that_it_says():
    fake, scheduler = make()
    fake.start = lambda slot: fake.say(slot, Loading("7@node b"), Ready()) or ""  # type: ignore[method-assign]
    scheduler.submit([(ONE,)])
    assert until_quiet(scheduler) == [RunsStarted((ONE,), "7@node b")]


def test_a_worker_that_does_not_load_the_task_in_time_is_replaced_and_the_first_fails_the_study():
    clock = Clock()
    fake, scheduler = make(clock=clock, stall_seconds=60)
    start, fake.start = fake.start, lambda slot: "hangs"  # type: ignore[method-assign]
    scheduler.submit([(ONE,)])
    until_quiet(scheduler)
    clock.now = 59
    assert until_quiet(scheduler) == []
    clock.now = 61
    with pytest.raises(StudyFailed, match=r"no progress for 60 s .* before it had loaded the task"):
        until_quiet(scheduler)
    fake.start = start  # type: ignore[method-assign]
    until_quiet(scheduler)
    fake.start = lambda slot: "hangs"  # type: ignore[method-assign]
    fake.die(0)
    until_quiet(scheduler)
    fake.start = start  # type: ignore[method-assign]
    clock.now = 122
    assert until_quiet(scheduler) == [RunsStarted((ONE.next_attempt(),), "worker 2")]
    assert fake.stopped == [0, 0]


def test_whoever_takes_the_events_slowly_does_not_make_workers_look_stalled():
    clock = Clock()
    fake, scheduler = make(2, clock, stall_seconds=60)
    scheduler.submit([(ONE,), (TWO,)])
    until_quiet(scheduler)
    fake.say(0, Progress(ONE.key, 1, 1, 10, 0.1))
    for event in scheduler.events():
        assert event == Progress(ONE.key, 1, 1, 10, 0.1)
        clock.now += 100  # what the second worker says meanwhile waits for the next poll
    fake.say(1, Progress(TWO.key, 1, 1, 10, 0.1))
    fake.say(0, Progress(ONE.key, 1, 2, 10, 0.1))
    assert [event.key for event in scheduler.events()] == [TWO.key, ONE.key]
    assert not fake.stopped


def test_a_controller_that_slept_holds_that_against_no_worker(monkeypatch):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(awake_clock, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    fake = FakeExecutor()
    scheduler = Scheduler(fake, Execution(stall_seconds=60))
    scheduler.submit([(ONE,)])
    until_quiet(scheduler)
    now.seconds += 10_000
    assert until_quiet(scheduler) == []
    for _ in range(11):
        now.seconds += 5
        assert until_quiet(scheduler) == []
    now.seconds += 5
    assert "no progress for 60 s" in next(scheduler.events()).error


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (LoadFailed("no class `Net`"), "could not load the task: no class `Net`"),
        (WorkerDied("the worker process died (exit code 1)"), r"\(exit code 1\) before it had loaded the task"),
    ],
)
def test_a_first_worker_that_cannot_begin_fails_the_study(message, error):
    fake, scheduler = make()
    fake.start = lambda slot: fake.say(slot, message) or ""  # type: ignore[method-assign]
    scheduler.submit([(ONE,)])
    with pytest.raises(StudyFailed, match=error):
        until_quiet(scheduler)


def test_workers_that_always_die_fail_the_study_with_their_cause():
    fake, scheduler = make()
    plans = make_plans(*[Recipe()] * 50)
    scheduler.submit([(plan,) for plan in plans])

    def kill_every_worker():
        for _ in range(2 * CRASHES_IN_A_ROW):
            until_quiet(scheduler)
            fake.die(0)

    with pytest.raises(StudyFailed, match=f"{CRASHES_IN_A_ROW} workers died .* the last: .*exit code -9"):
        kill_every_worker()
    assert len(fake.started) == CRASHES_IN_A_ROW


def test_a_trial_that_takes_its_workers_with_it_is_given_up_and_the_others_go_on():
    fake, scheduler = make()
    seeds = [make_plans(Recipe(), Recipe(), seed=seed) for seed in range(6)]
    scheduler.submit(seeds)
    states = {}
    while not scheduler.is_done:
        for event in scheduler.events():
            if isinstance(event, RunResult):
                states[event.key] = (event.state, event.error)
        if 0 in fake.held:
            poisoned = any(plan.trial == 1 for plan in fake.held[0])
            fake.die(0) if poisoned else fake.finish(0)
    assert {state for key, (state, _) in states.items() if key[0] == 0} == {"complete"}
    assert {state for key, (state, _) in states.items() if key[0] == 1} == {"crashed"}
    assert len(states) == 12
    given_up = [error for _, error in states.values() if "not tried" in error]
    assert given_up[0] == f"not tried: {CRASHES_PER_TRIAL} workers died training trial 1"
