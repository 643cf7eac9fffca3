"""A clock that stands while its process does."""

from types import SimpleNamespace

import pytest

from mapsearch.executors import awake_clock
from mapsearch.executors.awake_clock import LONGEST_STEP_SECONDS, AwakeClock


def test_what_passes_between_two_distant_looks_was_slept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(awake_clock, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    clock = AwakeClock()
    for passed, counted in (
        (0.2, 0.2),
        (3.0, 3.2),
        (3600.0, 3.2 + LONGEST_STEP_SECONDS),
        (1.0, 4.2 + LONGEST_STEP_SECONDS),
    ):
        now.seconds += passed
        assert clock() == pytest.approx(counted)
