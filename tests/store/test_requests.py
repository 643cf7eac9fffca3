"""What others than a study's controller ask of it, and what the controller then does to its name."""

from collections.abc import Callable
from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from mapsearch.core.errors import StartWithdrawn, StudyBusy, StudyChanged, StudyNotFound
from mapsearch.core.studies import StartRequest, StudyState
from mapsearch.store import watching
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
        assert study.state() == "failed"


@pytest.mark.parametrize("state", ["stopped", "failed", "complete"])
def test_who_looks_on_sees_a_study_go_on_from_when_it_is_taken(store: Store, state: StudyState) -> None:
    def seen() -> set[str]:
        return {store.study("digits").state, store.summary("digits").state}

    with store.control("digits") as study:
        study.set_state(state)
    assert seen() == {state}
    store.request_start("digits")
    assert seen() == {"queued"}
    with store.control_as_asked("digits") as (study, _):
        assert seen() == {"complete" if state == "complete" else "queued"}
        study.set_state("running")
        assert seen() == {"running"}
    assert seen() == {"stopped"}


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


@pytest.fixture
def at_each_look(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """`at_each_look(do)`: between two looks at a study that ended, `do` is called, and a second passes."""

    def replace(do: Callable[[], None]) -> None:
        seconds = iter(range(1000))
        clock = SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda _: do())
        monkeypatch.setattr(watching, "time", clock)

    return replace


@pytest.mark.parametrize("state", ["stopped", "failed", "complete"])
def test_who_asks_for_a_study_that_has_just_ended_waits_for_its_controller_to_leave(
    store: Store, at_each_look: Callable[[Callable[[], None]], None], state: StudyState
) -> None:
    with ExitStack() as last_moments:
        last_moments.enter_context(store.control("digits")).set_state(state)
        at_each_look(last_moments.close)
        store.request_start("digits")
    assert [request.name for request in store.start_requests()] == ["digits"]
    with ExitStack() as last_moments:
        last_moments.enter_context(store.control("digits")).set_state(state)
        at_each_look(last_moments.close)
        with store.maintain("digits") as study:
            study.rename("figures")
    assert store.study("figures").state == state


def test_a_controller_that_does_not_leave_is_told_of(
    store: Store, at_each_look: Callable[[Callable[[], None]], None]
) -> None:
    looks = list[int]()
    at_each_look(lambda: looks.append(1))
    with store.control("digits") as study:
        study.set_state("stopped")
        with pytest.raises(StudyBusy, match="study `digits` is run by process"):
            store.request_start("digits")
        assert looks
        looks.clear()
        study.set_state("running")
        with pytest.raises(StudyBusy, match="study `digits` is run by process"), store.maintain("digits"):
            pass
    assert not looks, "one that runs is not waited for"


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
