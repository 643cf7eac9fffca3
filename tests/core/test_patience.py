"""Tries come ever more rarely, and the last one when the patience ends."""

import pytest

from mapsearch.core.patience import next_wait


def waits(patience: float) -> list[float]:
    """All waits of something that never comes back, where a try takes no time."""
    made: list[float] = []
    while (seconds := next_wait(len(made), sum(made), patience)) is not None:
        made.append(seconds)
    return made


def test_waits_double_up_to_half_a_minute() -> None:
    assert waits(100.0) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 8.5]


@pytest.mark.parametrize("patience", [0.25, 60.0, 3600.0, 1e5])
def test_the_patience_is_used_up_and_no_more(patience: float) -> None:
    assert sum(waits(patience)) == pytest.approx(patience)


def test_without_patience_there_is_no_try() -> None:
    assert waits(0.0) == []


def test_tries_that_take_long_count() -> None:
    assert next_wait(3, 59.0, 60.0) == 1.0
    assert next_wait(3, 61.0, 60.0) is None
