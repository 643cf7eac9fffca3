import shutil

import pytest

from mapsearch.api import launching, upkeep
from mapsearch.api.queries import events, list_studies, study
from mapsearch.api.starting import asked_updates
from mapsearch.core.errors import SpecError, StartWithdrawn
from mapsearch.core.verdict import Verdict
from mapsearch.store.store import Store


@pytest.mark.parametrize(
    ("act", "left"),
    [
        (lambda url: launching.stop("tiny", url), [("tiny", "stopped")]),
        (lambda url: upkeep.rename("tiny", "small", url), [("small", "queued")]),
        (lambda url: upkeep.delete("tiny", url), []),
    ],
    ids=["stop", "rename", "delete"],
)
def test_a_process_that_comes_too_late_starts_nothing_and_makes_nothing(write_study, url, act, left):
    launching.create(write_study(), (), url)
    act(url)
    with pytest.raises(StartWithdrawn, match="tiny"):
        list(asked_updates("tiny", url))
    assert [(listed.name, listed.state) for listed in list_studies(url)] == left


def test_a_study_that_another_process_has_is_left_to_it(write_study, url):
    launching.create(write_study(), (), url)
    with Store.open(url) as store, store.maintain("tiny"), pytest.raises(StartWithdrawn, match="is run by process"):
        list(asked_updates("tiny", url))
    assert list_studies(url)[0].state == "queued"


def test_a_renamed_study_is_run_under_its_new_name_as_it_was_asked_for(write_study, url):
    launching.create(write_study(), ["seed=3", "name=other"], url)
    upkeep.rename("other", "small", url)
    assert isinstance(list(asked_updates("small", url))[-1], Verdict)
    [listed] = list_studies(url)
    assert (listed.name, listed.state, listed.n_complete > 0) == ("small", "complete", True)


def test_a_port_begins_with_the_old_study_also_when_it_was_stopped_before_it_did(finished, write_study, tmp_path):
    shutil.copy(finished[0].parent / "study.db", tmp_path)
    url = f"sqlite:///{tmp_path / 'study.db'}"
    launching.create(write_study(name="deeper", task="task.py:Deeper"), (), url, port_of="tiny")
    first = asked_updates("deeper", url)
    next(first)
    first.close()
    launching.resume("deeper", url)
    for update in asked_updates("deeper", url):
        if getattr(update, "proposer", "") == "ported":
            break
    assert study("deeper", url).facts.port.name == "tiny"


def test_what_cannot_be_run_as_asked_says_why_with_the_study(finished, write_study, url):
    launching.create(write_study(), (), url)
    with Store.open(url) as store:
        store.request_start("tiny", seeds=18)
    with pytest.raises(SpecError, match="has no verdict yet"):
        list(asked_updates("tiny", url))
    assert list_studies(url)[0].state == "failed"
    assert "has no verdict yet" in events("tiny", url)[-1].message
