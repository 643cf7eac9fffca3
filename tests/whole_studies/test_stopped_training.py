"""`mapsearch train` as a process that others stop: what comes out is bit for bit what comes out of one left alone."""

import multiprocessing
import os
import random
import signal
import sys

import pytest
import torch
from safetensors.torch import load_file

from mapsearch.api.training import train
from mapsearch.core.events import Message, Progress

N_STEPS = 1000


@pytest.fixture
def begin(mapsearch, finished, tmp_path):
    """`begin()` -> the command as a process; called again, the same command."""
    arguments = ("train", "tiny", "-o", tmp_path / "student", "--steps", N_STEPS, "--keep", "best")
    return lambda: mapsearch(*arguments, "--storage", finished[1])


@pytest.fixture
def steps_done(tmp_path):
    """`steps_done()` -> steps that the checkpoint holds."""

    def read():
        try:
            state = torch.load(tmp_path / "student" / "checkpoint.pt", weights_only=True)["state"]
        except FileNotFoundError:
            return 0
        return state["course"]["step"]

    return read


@pytest.fixture
def whole(finished):
    """The weights of a student whose training nobody stopped."""
    return train("tiny", steps=N_STEPS, keep="best", storage=finished[1]).state_dict()


def stop(process, number):
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def assert_ends_like(begin, whole, tmp_path):
    process = begin()
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "goes on after step" in said
    own = load_file(tmp_path / "student" / "student.safetensors")
    assert all(torch.equal(x, own[name]) for name, x in whole.items())
    assert not (tmp_path / "student" / "checkpoint.pt").exists()


def test_killed_and_asked_to_leave_it_goes_on_where_it_was(begin, steps_done, eventually, whole, tmp_path):
    process = begin()
    eventually(lambda: steps_done() > 0)
    assert stop(process, signal.SIGKILL)[0] == -signal.SIGKILL
    before = steps_done()
    process = begin()
    eventually(lambda: steps_done() > before)
    code, said = stop(process, signal.SIGUSR1)
    assert (code, "Traceback" in said) == (130, False), said
    assert "the same command goes on" in said
    assert_ends_like(begin, whole, tmp_path)


def train_and_be_stopped(keywords, at, way, in_write):
    """Train until a step, and be stopped there or while the next checkpoint is put into its place."""

    def stop_here(*_):
        os.kill(os.getpid(), way)

    def look(event):
        if isinstance(event, Progress) and event.step == at:
            if in_write:
                os.replace = stop_here
            else:
                stop_here()

    try:
        train("tiny", **keywords, on_event=look)
    except KeyboardInterrupt:
        sys.exit(130)


@pytest.mark.slow
def test_killed_at_ten_moments_it_goes_on_where_it_was(finished, tmp_path):
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["mapsearch.api.training"])  # imported once, not by each
    keywords = {"steps": 200, "keep": "best", "storage": finished[1]}
    uninterrupted = train("tiny", **keywords).state_dict()
    keywords["output"] = tmp_path / "student"
    ways = [signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGKILL] * 2
    for number, (at, way) in enumerate(zip(sorted(random.Random(0).sample(range(10, 200, 10), 10)), ways, strict=True)):
        is_in_write = way == signal.SIGKILL and number % 2 == 0
        process = processes.Process(target=train_and_be_stopped, args=(keywords, at, way, is_in_write))
        process.start()
        process.join()
        assert process.exitcode == (-way if way == signal.SIGKILL else 130), (at, way)
    told = []
    own = train("tiny", **keywords, on_event=told.append).state_dict()
    assert any("goes on after step" in event.text for event in told if isinstance(event, Message))
    assert all(torch.equal(x, own[name]) for name, x in uninterrupted.items())
