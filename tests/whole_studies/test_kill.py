"""The loop as a process that others stop: nothing is lost, nothing is done twice, nobody is left behind."""

import os
import random
import signal
from contextlib import suppress

import optuna
import pytest
from optuna.trial import TrialState
from study_processes import HASTY, end, expire, n_controllers

from mapsearch.store.store import Store

N_KILLS = int(os.environ.get("MAPSEARCH_KILLS", "3"))
"""Of the controller, on each database: `MAPSEARCH_KILLS=50 python -m pytest -m slow -k kill` is a long one."""

KILLS_PER_STUDY = 10
"""Each kill finds its study further on, so that many kills take several studies."""

MOMENTS = [(seed, min(KILLS_PER_STUDY, N_KILLS - done)) for seed, done in enumerate(range(0, N_KILLS, KILLS_PER_STUDY))]
"""For each study the seed of its moments, and how many there are."""


@pytest.fixture
def url(request, tmp_path):
    """The empty database of the kind that a test asks for, a SQLite file unless it does."""
    kind = getattr(request, "param", "sqlite")
    return f"sqlite:///{tmp_path / 'study.db'}" if kind == "sqlite" else request.getfixturevalue("postgresql_url")


@pytest.fixture
def begin(mapsearch, write_study, url):
    """`begin()` -> `mapsearch run` of the study as a process; called again, the same command."""

    def run(*, program=("-m", "mapsearch"), **changes):
        return mapsearch("run", write_study(**changes), "--storage", url, program=program)

    return run


def state(url):
    with Store.open(url) as store:
        return store.study("tiny").state


def kill_at_random(seed, n, begin, url, n_complete, eventually, workers, is_worker):
    """SIGKILL the controller up to n times, every other time its workers too, and see that all of them leave.

    A moment is a number of complete runs from none, in the check, to all, in the verdict. One that has passed is that
    in which a new controller takes the study. A study that comes to its end before the signal strikes is not killed.
    """
    n_killed = 0
    for goal in sorted(random.Random(seed).sample(range(66), n)):
        held = n_controllers(url)
        process = begin()
        eventually(lambda held=held, process=process: n_controllers(url) > held or process.poll() is not None)
        eventually(lambda goal=goal, process=process: n_complete(url) >= goal or process.poll() is not None)
        left = workers(url)
        process.kill()
        for worker in filter(is_worker, left if goal % 2 else ()):
            with suppress(ProcessLookupError):  # it left with its controller
                os.kill(worker, signal.SIGKILL)
        said = process.communicate()[1]
        assert process.returncode in (0, -signal.SIGKILL), said
        n_killed += process.returncode != 0
        eventually(lambda left=left: not any(map(is_worker, left)))
    print(f"{n_killed} kills")  # `-rP` shows it


def check_whole(url, finished, results):
    assert results(url, reproducible=True) == results(finished[1], reproducible=True)
    storage = optuna.storages.RDBStorage(url)
    sampled = optuna.load_study(study_name="tiny", storage=storage).trials
    storage.engine.dispose()  # psycopg warns of connections that are left open
    assert all(t.state != TrialState.RUNNING for t in sampled)
    told = [t.user_attrs["trial"] for t in sampled if t.state == TrialState.COMPLETE]
    assert sorted(told) == sorted({t.number for t in results(url)[0] if t.sampler_number is not None})


def complete_attempts(url):
    with Store.open(url) as store, store._database.reading() as db:
        rows = db.exec_driver_sql("SELECT trial, rung, seed FROM mapsearch_attempts WHERE state = 'complete'").all()
    return rows


@pytest.mark.parametrize(
    ("url", "n_kills", "seed"),
    [
        ("sqlite", 2, 1000),
        *(pytest.param("sqlite", n, seed, marks=pytest.mark.slow) for seed, n in MOMENTS),
        *(pytest.param("postgresql", n, seed, marks=(pytest.mark.slow, pytest.mark.postgres)) for seed, n in MOMENTS),
    ],
    indirect=["url"],
)
def test_a_killed_controller_loses_nothing(
    n_kills, seed, begin, url, finished, results, n_complete, eventually, workers, is_worker
):
    kill_at_random(seed, n_kills, begin, url, n_complete, eventually, workers, is_worker)
    before = {r.key: r for r in results(url)[1] if r.state == "complete"}
    assert end(begin())[0] == 0
    after = {r.key: r for r in results(url)[1]}
    assert {key: after[key] for key in before} == before, "a complete run was trained again"
    assert len(complete_attempts(url)) == len(set(complete_attempts(url))) == len(after)
    check_whole(url, finished, results)


def untried_workers(url):
    """The process ids of the workers all of whose runs are at their first attempt."""
    with Store.open(url) as store, store._database.reading() as db:
        rows = db.exec_driver_sql("SELECT worker, attempt FROM mapsearch_attempts WHERE state = 'running'").all()
    again = {worker for worker, attempt in rows if attempt > 1}
    return {int(worker.partition("@")[0]) for worker, _ in rows if worker not in again}


def kill_a_worker(goal, url, n_complete, eventually, is_worker):
    """SIGKILL a worker once so many runs are complete; no run twice, for what is lost twice is given up."""
    running = set()

    def is_time():
        running.update(filter(is_worker, untried_workers(url)) if n_complete(url) >= goal else ())
        return running

    eventually(is_time)
    os.kill(min(running), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_killed_workers_change_nothing(seed, begin, url, finished, results, n_complete, eventually, is_worker):
    process = begin()
    for goal in sorted(random.Random(seed).sample(range(1, 42, 8), 3)):
        kill_a_worker(goal, url, n_complete, eventually, is_worker)
    assert end(process)[0] == 0
    assert {run.attempt for run in results(url)[1]} == {1, 2}
    check_whole(url, finished, results)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_a_signal_stops_the_study_and_the_same_command_goes_on(
    number, begin, url, finished, results, n_complete, eventually, is_worker, workers
):
    process = begin()
    eventually(lambda: n_complete(url) >= 10 and workers(url))
    left = workers(url)
    os.killpg(process.pid, number)  # as a terminal does
    code, said = end(process)
    assert code == 130
    assert said.splitlines()[-1].startswith("stopped; ")
    assert state(url) == "stopped"
    assert not any(map(is_worker, left))
    assert not any(r.state == "running" for r in results(url)[1])
    if number == signal.SIGINT:
        assert end(begin())[0] == 0
        check_whole(url, finished, results)


def test_a_second_controller_is_refused_and_a_second_interrupt_stops_at_once(
    begin, url, n_complete, eventually, is_worker, workers
):
    first = begin()
    eventually(lambda: n_complete(url) >= 5 and workers(url))
    left = workers(url)
    os.kill(first.pid, signal.SIGSTOP)  # it must not come to its end meanwhile
    code, said = end(begin())
    assert code == 2
    assert f"error: study `tiny` is run by process {first.pid} on {os.uname().nodename} until at least" in said
    first.send_signal(signal.SIGINT)
    first.send_signal(signal.SIGTERM)
    os.kill(first.pid, signal.SIGCONT)
    assert end(first)[0] == 130
    assert not any(map(is_worker, left))


@pytest.mark.slow
def test_a_controller_that_wakes_up_after_another_took_over_writes_nothing(
    begin, url, hold, finished, results, is_worker, workers
):
    hold.begin()
    first = begin(task="task.py:Held")
    hold.reach("search")  # its controller has written all, and waits for its worker
    os.kill(first.pid, signal.SIGSTOP)
    left = workers(url)
    expire(url)
    (hold.folder / "hold").unlink()
    assert end(begin(task="task.py:Held", program=("-c", HASTY)))[0] == 0
    after = results(url)
    hold.go()
    os.kill(first.pid, signal.SIGCONT)
    code, said = end(first)
    assert code == 2, said
    assert "another process took over" in said
    assert not any(map(is_worker, left))
    assert results(url) == after
    assert state(url) == "complete"
    assert len(complete_attempts(url)) == len(set(complete_attempts(url))) == len(after[1])
    check_whole(url, finished, results)
