"""Every path is asked of a real service; how long that takes is not tested."""

import pytest

from benchmarks import service


@pytest.mark.slow
def test_every_path_is_measured():
    rows = service.measure(n_trials=20, n_runs=2, repeats=1)
    assert [row["path"] for row in rows] == list(service.PATHS)
    numbers = {"n_trials": 20, "n_runs": 40, "repeats": 1, "machine": "here", "rows": rows}
    assert "20 trials and 40 runs" in service.page(numbers, "2026-11-27")
