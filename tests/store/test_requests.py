"""What others than a study's controller ask of it, and what the controller then does to its name."""

import pytest

from mapsearch.core.errors import StartWithdrawn, StudyBusy, StudyChanged, StudyNotFound
from mapsearch.core.studies import StartRequest
from mapsearch.store.handle import StudyHandle
from mapsearch.store.store import Store


def test_those_that_wait_longest_come_first_and_a_controller_voids_the_request(store: Store) -> None:
    store.create_study("new", {}, folder="/new", study_file="", start_requested=True)
    store.request_start("digits", seeds=18)
    waiting = [StartRequest("new", "/new", None, 0), StartRequest("digits", "/home/studies", 18, 0)]
    assert store.start_requests() == waiting
    assert {study.name: study.state for study in store.studies()} == {"new": "queued", "digits": "queued"}
    with store.control("digits"):
        assert store.start_requests() == waiting[:1]
        assert store.running_here() == {"digits"}
        with pytest.raises(StudyBusy, match="study `digits` is run by process"):
            store.request_start("digits")
    assert store.running_here() == set()


def test_a_failed_study_that_waits_is_still_failed_for_the_run_that_mends_it(store: Store) -> None:
    with store.control("digits") as study:
        study.set_state("failed")
    store.request_start("digits")
    assert store.study("digits").state == "queued"
    with store.control("digits") as study:
        assert study.study().state == "failed"


def test_one_that_is_stopped_before_its_start_does_not_start(store: Store) -> None:
    store.request_start("digits")
    store.request_stop("digits")
    assert store.start_requests() == []
    assert store.study("digits").state == "stopped"


def test_a_request_is_taken_once_together_with_the_study(store: Store) -> None:
    store.request_start("digits", seeds=18)
    with store.control_as_asked("digits") as (study, request):
        assert (request.seeds, study.stop_requested, store.start_requests()) == (18, False, [])
        with pytest.raises(StudyBusy, match="study `digits` is run by process"), store.control_as_asked("digits"):
            pass
    with pytest.raises(StartWithdrawn, match="study `digits` is no longer"), store.control_as_asked("digits"):
        pass
    store.request_start("digits")
    store.request_stop("digits")
    with pytest.raises(StartWithdrawn), store.control_as_asked("digits"):
        pass
    with store.control("digits"):
        pass  # what was refused held nothing


def test_what_is_asked_for_while_a_study_is_maintained_still_stands(store: Store) -> None:
    store.request_start("digits")
    with store.maintain("digits") as study:
        study.rename("figures")
    assert [request.name for request in store.start_requests()] == ["figures"]
    with store.maintain("figures"):
        store.request_stop("figures")
    assert (store.start_requests(), store.study("figures").state) == ([], "stopped")


def test_a_study_whose_process_died_before_it_began_does_not_wait_for_ever(store: Store) -> None:
    assert store.study("digits").state == "queued"
    store.request_start("digits")
    with store.control_as_asked("digits"):
        assert store.study("digits").state == "queued"
    assert store.study("digits").state == "stopped"


def test_a_complete_study_that_is_to_see_more_seeds_is_no_longer_complete(store: Store) -> None:
    with store.control("digits") as study:
        study.set_state("complete")
    store.request_start("digits", seeds=18)
    store.request_stop("digits")
    assert store.study("digits").state == "complete"  # nobody began
    store.request_start("digits", seeds=18)
    with store.control_as_asked("digits"):
        assert store.study("digits").state == "queued"


def test_a_renamed_study_keeps_what_it_is_and_its_controller(store: Store, study: StudyHandle) -> None:
    store.create_study("taken", {}, folder="", study_file="", port_of="digits")
    with pytest.raises(StudyChanged, match="`taken` already"):
        study.rename("taken")
    study.rename("figures")
    study.add_event("note", "still mine")
    assert store.study("taken").port_of == "figures"
    assert store.study("figures").spec == {"name": "figures", "seed": 0}
    with pytest.raises(StudyNotFound, match="no study `digits`"):
        store.study("digits")


def test_a_deleted_study_leaves_no_row(store: Store) -> None:
    with store.control("digits") as study:
        study.add_event("note", "gone soon")
        study.delete()
    assert store.studies() == []
    store.create_study("digits", {}, folder="", study_file="")
    assert store.events("digits") == []
