"""What the database did not take is on disk before anything else happens, whatever ends the process or the disk."""

import json
import math
from pathlib import Path

import pytest

from mapsearch.core.runs import RunResult
from mapsearch.store.spool import Begun, Ended, Spool

BEGUN = Begun((3, 0, 7), 2, "123@cpu")
RESULT = RunResult(
    (3, 0, 7), "complete", {"accuracy": 0.75}, 1.5, curve=((0, 2.0), (9, 1.0)), scales=(1.25,), notes=("a note",),
    gradient_shares=(0.5, 0.5), first_loss=2.0, attempt=2,
)  # fmt: skip
ENDED = Ended(RESULT, 0.75)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "unwritten.jsonl"


def test_another_process_finds_every_record_as_it_was(path: Path) -> None:
    spool = Spool(path)
    assert not path.exists()
    for record in (BEGUN, ENDED):
        spool.append(record)
    assert spool.records == Spool(path).records == (BEGUN, ENDED)
    assert Spool(path).n_results == 1


def test_a_record_is_on_disk_once_it_is_taken(path: Path) -> None:
    Spool(path).append(BEGUN)
    assert json.loads(path.read_text()) == {"begun": [3, 0, 7], "attempt": 2, "worker": "123@cpu"}


def test_a_result_that_is_no_number_is_kept(path: Path) -> None:
    diverged = RunResult((0, 0, 0), "diverged", curve=((0, math.inf),), error="term `task` is nan")
    Spool(path).append(Ended(diverged, None))
    (record,) = Spool(path).records
    assert isinstance(record, Ended)
    assert (record.result.state, record.result.error, record.value) == ("diverged", "term `task` is nan", None)


@pytest.mark.parametrize("cut", [1, 20])
def test_a_torn_last_record_is_written_over(path: Path, cut: int) -> None:
    spool = Spool(path)
    spool.append(BEGUN)
    spool.append(ENDED)
    path.write_bytes(path.read_bytes()[:-cut])
    again = Spool(path)
    assert again.records == (BEGUN,)
    again.append(ENDED)
    assert Spool(path).records == (BEGUN, ENDED)


def test_a_damaged_record_costs_that_record_alone(path: Path) -> None:
    spool = Spool(path)
    spool.append(BEGUN)
    with path.open("a") as file:
        file.write('{"ended": "no key", "attempt": 1, "result": {}}\n\x00\x00\n{"begun": [1, 2]}\n7\n')
    Spool(path).append(ENDED)
    assert Spool(path).records == (BEGUN, ENDED)


def test_what_the_disk_does_not_take_is_kept_in_memory_and_said(path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    spool = Spool(path)
    spool.append(ENDED)
    assert spool.records == (ENDED,)
    assert "in memory" in spool.place
    assert str(path) in spool.place


def test_a_file_that_somebody_removed_is_begun_anew(path: Path) -> None:
    spool = Spool(path)
    spool.append(BEGUN)
    path.unlink()
    spool.append(ENDED)
    assert Spool(path).records == (ENDED,)


def test_nothing_is_left_once_everything_is_written(path: Path) -> None:
    spool = Spool(path)
    spool.append(ENDED)
    spool.clear()
    assert not path.exists()
    assert spool.records == Spool(path).records == ()
    spool.append(BEGUN)
    assert Spool(path).records == (BEGUN,)
