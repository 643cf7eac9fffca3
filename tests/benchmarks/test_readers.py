"""A study and its readers go on side by side without an error; how long that takes is not tested."""

import pytest

from benchmarks import readers


@pytest.mark.slow
def test_every_page_is_read_while_the_study_writes(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    sizes = {"n_readers": len(readers.PAGES), "n_trials": 60, "n_pairs": 1, "n_batches": 2}
    numbers = readers.measure(url, **sizes, seconds=0.1, pause=0.1)
    assert numbers["errors"] == {}
    assert numbers["pages"] >= len(readers.PAGES)
    assert numbers["updates"] > 0
    assert len(numbers["quiet_seconds"]) == len(numbers["read_seconds"]) == 1


def test_a_ratio_is_taken_pair_by_pair_and_errors_are_told():
    measured = {"quiet_seconds": [1.0, 2.0], "read_seconds": [1.1, 2.2], "pages": 3, "updates": 4}
    sizes = {"n_readers": 2, "n_trials": 60, "n_batches": 3, "training_seconds": 0.1, "pause_seconds": 0.1}
    numbers = {
        "database": "sqlite",
        "machine": "here",
        "niceness": 0,
        "errors": {"OSError: away": 2},
        **sizes,
        **measured,
    }
    text = readers.page(numbers, "2026-11-27")
    assert "| 1.100 | 1.100 .. 1.100 |" in text
    assert "OSError: away (2 times)" in text
