"""What is freed is what was promised; results, recipes and verdict stay, and so does what was never written."""

import shutil
from dataclasses import replace

import pytest

from mapsearch.api import cleaning
from mapsearch.core.errors import StudyBusy, StudyNotFound
from mapsearch.core.folders import cache_folder, spool_file
from mapsearch.core.runs import RunResult
from mapsearch.store.spool import Ended, Spool
from mapsearch.store.store import Store


@pytest.fixture
def storage(finished, tmp_path):
    """A finished study with 3,000 bytes in its cache folder."""
    shutil.copy(finished[1].removeprefix("sqlite:///"), tmp_path / "study.db")
    url = f"sqlite:///{tmp_path / 'study.db'}"
    folder = cache_folder(url, "tiny") / "teacher"
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(bytes(3000))
    return url


def state_of(storage):
    with Store.open_to_read(storage) as store:
        runs = [replace(r, result=r.result and replace(r.result, curve=())) for r in store.runs("tiny")]
        return store.study("tiny"), store.trials("tiny"), runs


def test_caches_and_curves_are_freed_and_nothing_else(storage, tmp_path):
    (before,) = cleaning.disk_use(None, storage)
    assert before.cache == 3000
    assert before.curves > 1000
    kept, size = state_of(storage), (tmp_path / "study.db").stat().st_size
    assert cleaning.clean("tiny", storage) == before
    assert state_of(storage)[1:] == kept[1:]
    assert state_of(storage)[0].facts == kept[0].facts
    assert not cache_folder(storage, "tiny").exists()
    assert (tmp_path / "study.db").stat().st_size <= size
    (after,) = cleaning.disk_use("tiny", storage)
    assert after.total == 0


def test_results_that_were_never_written_stay_until_the_study_is_complete(storage):
    with Store.open(storage) as store, store.control("tiny") as study:
        study.set_state("stopped")
        file = spool_file(storage, study.id)
    Spool(file).append(Ended(RunResult((0, 0, 0), "complete", {"accuracy": 0.5}), 0.5))
    assert "1 results that wait" in str(cleaning.clean("tiny", storage))
    assert Spool(file).n_results == 1
    with Store.open(storage) as store, store.control("tiny") as study:
        study.set_state("complete")
    assert cleaning.clean("tiny", storage).total > 0
    assert not file.exists()


def test_what_runs_is_left_alone(storage):
    with Store.open(storage) as store, store.control("tiny") as study:
        study.set_state("running")
        with pytest.raises(StudyBusy):
            cleaning.clean("tiny", storage)
    assert cleaning.disk_use("tiny", storage)[0].cache == 3000


def test_a_misspelt_name_gets_a_close_match(storage):
    with pytest.raises(StudyNotFound, match="did you mean `tiny`"):
        cleaning.disk_use("tinny", storage)
