"""Signals to a study as a process, in every stage: it leaves nothing behind, and the same command goes on."""

import os
from signal import SIGINT, SIGTERM, SIGUSR1

import pytest
from study_processes import members

from mapsearch.store.store import Store

STUBBORN = """

class Stubborn(Held):
    def __init__(self):
        super().__init__()
        import signal

        asked = pathlib.Path(__file__).with_name("asked")
        signal.signal(signal.SIGTERM, lambda *_: asked.touch())
"""
"""Its workers do not leave when they are asked to."""


@pytest.fixture
def begin(mapsearch, write_study, url):
    """`begin(*options)` -> `mapsearch run` of a study that can be held; called again, the same command."""
    return lambda *options: mapsearch("run", write_study(task="task.py:Held"), "--storage", url, *options)


def check_left(process, url):
    """The process has left as after Ctrl-C, with all that it started, and the study is at rest."""
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("stopped; ")
    assert members(process.pid) == {}
    with Store.open_to_read(url) as store, store._database.reading() as db:
        assert db.exec_driver_sql("SELECT state, lease_owner FROM mapsearch_studies").all() == [("stopped", None)]
        assert not any(run.state == "running" for run in store.runs("tiny"))
        assert not db.exec_driver_sql("SELECT * FROM mapsearch_attempts WHERE state = 'running'").all()


def check_goes_on(begin, hold, url, finished, results):
    """The same command brings the study to the end of an undisturbed one."""
    (hold.folder / "hold").unlink(missing_ok=True)
    process = begin()
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 0, said
    assert results(url, reproducible=True) == results(finished[1], reproducible=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "moments",
    [
        (("check", SIGINT), ("similarity", SIGTERM), ("tune", SIGUSR1), ("search", SIGINT), ("confirm", SIGTERM)),
        (("check", SIGTERM), ("check", SIGUSR1), ("similarity", SIGINT)),
    ],
)
def test_a_signal_in_any_stage_stops_the_study_and_the_same_command_goes_on(
    moments, begin, hold, url, finished, results
):
    for stage, number in moments:
        hold.begin()
        process = begin()
        hold.reach(stage)
        tell = os.killpg if number == SIGINT else os.kill  # a terminal tells the group
        tell(process.pid, number)
        check_left(process, url)
    check_goes_on(begin, hold, url, finished, results)


@pytest.mark.slow
def test_a_second_ctrl_c_does_not_wait_for_the_run_under_way(begin, hold, url, finished, results):
    hold.begin()
    process = begin("--inline")
    hold.reach("tune")
    process.send_signal(SIGINT)
    hold.stay()  # the first one waits for the end of the step
    process.send_signal(SIGINT)
    check_left(process, url)
    check_goes_on(begin, hold, url, finished, results)


@pytest.mark.slow
def test_a_second_ctrl_c_while_workers_are_waited_for_leaves_nobody_behind(
    mapsearch, write_study, hold, url, eventually
):
    study = write_study(task="task.py:Stubborn")
    with (hold.folder / "task.py").open("a") as task:
        task.write(STUBBORN)
    hold.begin()
    process = mapsearch("run", study, "--storage", url)
    hold.reach("search")
    process.send_signal(SIGINT)
    eventually((hold.folder / "asked").exists)
    process.send_signal(SIGINT)
    check_left(process, url)
