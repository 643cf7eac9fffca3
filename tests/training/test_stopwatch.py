import time

import pytest
import torch

from mapsearch.training import stopwatch
from mapsearch.training.stopwatch import Stopwatch


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the stopwatch reads, one after the other."""
    times = []
    monkeypatch.setattr(stopwatch, "process_time", lambda: times.pop(0))
    return times


def test_the_time_between_start_and_stop_is_added_up(clock):
    clock += [10.0, 11.5, 20.0, 20.25]
    watch = Stopwatch(torch.device("cpu"))
    for _ in range(2):
        watch.start()
        watch.stop()
    assert watch.take() == 1.75


def test_time_is_taken_once(clock):
    clock += [1.0, 2.0, 5.0, 8.0]
    watch = Stopwatch(torch.device("cpu"))
    assert watch.take() == 0.0
    watch.start()
    watch.stop()
    assert [watch.take(), watch.take()] == [1.0, 0.0]
    watch.start()
    watch.stop()
    assert watch.take() == 3.0


def test_on_a_cpu_what_the_process_does_not_do_takes_no_time():
    clock = stopwatch.device_clock(torch.device("cpu"))
    began, before = time.perf_counter(), clock()
    time.sleep(0.05)
    assert clock() - before < time.perf_counter() - began
