"""A study's state tells how it is: what is complete stays so until something is missing."""

import pytest
from study_fixtures import STUDY, merged, yaml

from mapsearch.controller.run import run
from mapsearch.core.errors import TaskError
from mapsearch.core.events import Progress
from mapsearch.core.study_file import load_study
from mapsearch.core.verdict import Verdict
from mapsearch.store.store import Store


def state(url):
    with Store.open_to_read(url) as store:
        return store.study("tiny").state


@pytest.mark.parametrize("n_updates", [1, 4])
def test_a_complete_study_that_is_run_again_and_interrupted_stays_complete(copied, n_updates):
    study, url = copied
    updates = run(load_study(study), url)
    for _ in range(n_updates):
        assert not isinstance(next(updates), Verdict)
        assert state(url) == "complete"
    updates.close()
    assert state(url) == "complete"


def test_one_that_cannot_be_loaded_again_stays_complete_and_says_why(copied):
    study, url = copied
    (study.parent / "task.py").write_text("x = 1")
    with pytest.raises(TaskError, match="Clusters"):
        list(run(load_study(study), url, inline=True))
    assert state(url) == "complete"
    with Store.open_to_read(url) as store:
        assert any(event.kind == "failed" and "Clusters" in event.message for event in store.events("tiny"))


def test_one_that_grew_is_not_complete_when_it_is_interrupted(copied):
    study, url = copied
    study.write_text(yaml.safe_dump(merged(STUDY, {"search": {"trials": 5}})))
    updates = run(load_study(study), url, inline=True)
    next(updates)
    assert state(url) == "running"
    updates.close()
    assert state(url) == "stopped"


def test_one_whose_runs_were_lost_runs_again_until_they_are_back(copied):
    study, url = copied
    with Store.open(url) as store, store._database.writing() as db:
        db.exec_driver_sql("DELETE FROM mapsearch_attempts WHERE rung = 1 AND trial > 2")
        db.exec_driver_sql("DELETE FROM mapsearch_runs WHERE stage = 'shortlist'")
    for item in run(load_study(study), url, inline=True):
        if isinstance(item, Progress):
            assert state(url) == "running"
    assert state(url) == "complete"
