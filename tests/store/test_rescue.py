"""Of a damaged file every row that can be read is saved, and it is said where rows are missing."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mapsearch.core.errors import StoreError
from mapsearch.store.rescue import rescue
from mapsearch.store.store import Store


@pytest.fixture
def damaged(finished: tuple[Path, str], tmp_path: Path) -> Path:
    """A finished study one of whose pages of runs was overwritten."""
    path = Path(shutil.copy(finished[1].removeprefix("sqlite:///"), tmp_path / "study.db"))
    with closing(sqlite3.connect(path)) as db:
        size = db.execute("PRAGMA page_size").fetchone()[0]
        data, needle = path.read_bytes(), b'"curve"'
    pages = [n for n in range(len(data) // size) if needle in data[n * size : (n + 1) * size]]
    broken = bytearray(data)
    start = pages[len(pages) // 2] * size
    broken[start : start + size] = b"\xff" * size
    path.write_bytes(bytes(broken))
    return path


def test_all_but_the_damaged_rows_is_saved(damaged: Path, finished: tuple[Path, str], tmp_path: Path) -> None:
    with Store.open_to_read(finished[1]) as whole:
        trials, runs = whole.trials("tiny"), whole.runs("tiny")
    counts = rescue(f"sqlite:///{damaged}", tmp_path / "saved.db")
    n, complete = counts["mapsearch_runs"]
    assert not complete
    assert len(runs) // 2 < n < len(runs)
    assert counts["mapsearch_trials"] == (len(trials), True)
    with Store.open_to_read(f"sqlite:///{tmp_path / 'saved.db'}") as saved:
        assert saved.trials("tiny") == trials
        kept = saved.runs("tiny")
        assert len(kept) == n
        assert set(map(repr, kept)) < set(map(repr, runs))


def test_a_file_of_which_nothing_can_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_bytes(b"not a database at all" * 500)
    with pytest.raises(StoreError, match="restore a backup"):
        rescue(f"sqlite:///{path}", tmp_path / "saved.db")
    assert not (tmp_path / "saved.db").exists()


def test_nothing_is_written_over(damaged: Path) -> None:
    with pytest.raises(StoreError, match="exists already"):
        rescue(f"sqlite:///{damaged}", damaged)
