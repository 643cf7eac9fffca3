"""A lease that is held lives on by itself, and is asked for around whatever other libraries write."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError, OperationalError

from mapsearch.core.errors import DatabaseFailed, StudyBusy
from mapsearch.store import renewal
from mapsearch.store.handle import StudyHandle
from mapsearch.store.store import Store


@pytest.fixture
def second(store: Store) -> Iterator[Store]:
    with Store.open(store.url) as second:
        yield second


def test_a_lease_is_renewed_while_nothing_is_written(
    store: Store, rewrite: Callable[..., None], eventually: Callable[..., None]
) -> None:
    with store.control("digits", lease_seconds=0.3) as study:
        study.set_state("running")
        rewrite(lease_until=0.0)  # as if all of it had passed; what nobody holds has stopped
        eventually(lambda: store.study("digits").state == "running")


def test_the_renewal_notices_that_the_study_was_asked_to_stop(
    store: Store, second: Store, eventually: Callable[..., None]
) -> None:
    with store.control("digits", lease_seconds=0.3) as study:
        second.request_stop("digits")
        eventually(lambda: study.stop_requested)


def test_the_renewal_ends_when_another_took_over_and_is_told_and_leaves_the_lease_to_it(
    store: Store, second: Store, rewrite: Callable[..., None], eventually: Callable[..., None]
) -> None:
    with store.control("digits", lease_seconds=0.3) as study:
        rewrite(lease_owner="another", lease_epoch=study.epoch + 1, lease_until=time.time() + 60.0)
        eventually(lambda: not any(thread.name == "lease of digits" for thread in threading.enumerate()))
        with pytest.raises(StudyBusy, match="took over from this process"):
            assert not study.stop_requested
        with pytest.raises(StudyBusy, match="took over from this process"):
            study.set_state("failed")
    with pytest.raises(StudyBusy), second.control("digits"):
        pass


def test_a_renewal_in_which_the_database_fails_is_made_up_for_by_the_next(
    store: Store, rewrite: Callable[..., None], eventually: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    renew, failed = renewal.renew_lease, threading.Event()

    def fail_once(db: object, lease: object) -> bool:
        if not failed.is_set():
            failed.set()
            raise OperationalError("UPDATE", {}, Exception("the server is gone"))
        return renew(db, lease)  # type: ignore[arg-type]

    monkeypatch.setattr(renewal, "renew_lease", fail_once)
    with store.control("digits", lease_seconds=0.3) as study:
        study.set_state("running")
        rewrite(lease_until=0.0)
        eventually(lambda: store.study("digits").state == "running")
    assert failed.is_set()


def test_the_lease_is_free_and_its_thread_ended_when_the_statement_is_left(store: Store, second: Store) -> None:
    with store.control("digits"):
        pass
    assert not any(thread.name == "lease of digits" for thread in threading.enumerate())
    with second.control("digits"):
        pass


# What other libraries write


def test_another_library_may_write_while_the_study_is_ours(study: StudyHandle) -> None:
    engine = create_engine(study.url)
    with study.guarded(), engine.begin() as db:
        db.exec_driver_sql("CREATE TABLE others (number INTEGER)")
    engine.dispose()
    study.set_state("running")


def test_it_does_not_begin_once_another_process_took_over(study: StudyHandle, rewrite: Callable[..., None]) -> None:
    rewrite(lease_owner="another", lease_epoch=study.epoch + 1, lease_until=2.0**32)
    with pytest.raises(StudyBusy, match="took over"), study.guarded():
        pytest.fail("it began")


def test_nothing_is_made_of_what_it_wrote_while_another_process_took_over(
    study: StudyHandle, rewrite: Callable[..., None]
) -> None:
    with pytest.raises(StudyBusy, match="took over"), study.guarded():
        rewrite(lease_owner="another", lease_epoch=study.epoch + 1, lease_until=2.0**32)


FAILURE = OperationalError("INSERT INTO trials", {"secret": 1}, Exception("the server is gone"))
WRAPPED = RuntimeError("the library's own words")
WRAPPED.__cause__ = FAILURE


@pytest.mark.parametrize("failure", [FAILURE, WRAPPED])
def test_an_error_of_the_database_in_it_is_one_of_ours(study: StudyHandle, failure: Exception) -> None:
    with pytest.raises(DatabaseFailed, match=r"the server is gone; .*again") as caught, study.guarded():
        raise failure
    assert "INSERT" not in str(caught.value)


@pytest.mark.parametrize("mistake", [ZeroDivisionError(), IntegrityError("INSERT", {}, Exception("twice"))])
def test_other_errors_in_it_stay_as_they_are(study: StudyHandle, mistake: Exception) -> None:
    with pytest.raises(type(mistake)) as caught, study.guarded():
        raise mistake
    assert caught.value is mistake
