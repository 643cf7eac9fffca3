import pytest

from mapsearch.core.disk_use import DiskUse, readable


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_340_000, "2.3 MB"), (5 * 10**15, "5000.0 TB")],
)
def test_a_size_has_the_unit_that_suits_it(n_bytes: int, text: str) -> None:
    assert readable(n_bytes) == text


def test_results_that_wait_are_not_to_be_freed() -> None:
    assert DiskUse("digits", 1000, 200, 30).total == 1230
    assert DiskUse("digits", 1000, 200, 30, n_unwritten=2).total == 1200
