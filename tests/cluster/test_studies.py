"""Whole studies on Ray from the command line: equal to local ones to the last bit, whatever was killed meanwhile."""

import os
import signal

import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.cluster


@pytest.fixture
def start(mapsearch, write_study, url, monkeypatch):
    """`start()` -> the study's command, with Ray started by it on this machine."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    study = write_study()
    return lambda: mapsearch("run", study, "--storage", url, "--executor", "ray")


def finish(process):
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out


def test_a_study_on_ray_is_the_local_one(start, url, results, finished):
    finish(start())
    assert results(url, reproducible=True) == results(finished[1], reproducible=True)


@pytest.mark.parametrize(
    ("kill", "code"), [(os.kill, -signal.SIGKILL), (os.killpg, 130)], ids=["SIGKILL of the controller", "Ctrl-C"]
)
def test_an_interrupted_study_is_resumed_and_every_run_is_done_once(
    start, url, results, finished, n_complete, eventually, kill, code
):
    process = start()
    eventually(lambda: n_complete(url) >= 6, seconds=120)
    kill(process.pid, signal.SIGKILL if code < 0 else signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == code
    finish(start())
    assert results(url, reproducible=True) == results(finished[1], reproducible=True)
