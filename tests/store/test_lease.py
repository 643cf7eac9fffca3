"""One controller per study: the lease is refused while its holder lives, and taken over when it does not."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from mapsearch.core.errors import DatabaseAway, StudyBusy
from mapsearch.store import connect, lease
from mapsearch.store.process import this_process
from mapsearch.store.store import Store

HOLD = """
import sys
from mapsearch.store.store import Store
with Store.open(sys.argv[1]) as store, store.control("digits"):
    print("held", flush=True)
    sys.stdin.read()  # until the test ends, however it does
"""


@pytest.fixture
def second(store: Store) -> Iterator[Store]:
    with Store.open(store.url) as second:
        yield second


def test_a_second_controller_is_refused_and_told_who_holds_the_study(store: Store, second: Store) -> None:
    busy = rf"`digits` is run by process {os.getpid()} on .* until at least 2.*\+00:00"
    with store.control("digits"):
        for other in (store, second):
            with pytest.raises(StudyBusy, match=busy), other.control("digits"):
                pass
    with second.control("digits"):
        pass


def test_a_lease_is_of_one_study(store: Store, second: Store) -> None:
    store.create_study("other", {}, folder="", study_file="")
    with store.control("digits"), second.control("other"):
        pass


def test_a_study_is_free_after_an_error(store: Store, second: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.control("digits"):
        raise ZeroDivisionError
    with second.control("digits"):
        pass


def test_an_expired_lease_that_nobody_took_still_writes(store: Store, rewrite: Callable[..., None]) -> None:
    with store.control("digits") as study:
        rewrite(lease_until=0.0)
        study.set_state("complete")
    assert store.study("digits").state == "complete"


@pytest.mark.skipif(this_process().boot_id is None, reason="deaths are proven by /proc")
def test_the_lease_of_a_killed_process_is_taken_over(store: Store) -> None:
    command = [sys.executable, "-c", HOLD, store.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(StudyBusy, match=f"is run by process {holder.pid}"), store.control("digits"):
                pass
        finally:
            holder.kill()
    with store.control("digits"):
        pass


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"lease_host": "another"},
        {"lease_boot_id": "another"},
        {"lease_pid_namespace": "pid:[1]"},  # two containers of one kernel and name
        {"lease_boot_id": None, "lease_pid_namespace": None, "lease_process_started": None},  # written by version 0001
    ],
)
def test_a_process_that_cannot_be_seen_from_here_keeps_its_lease_until_it_expires(
    store: Store, second: Store, rewrite: Callable[..., None], meanwhile: Any, elsewhere: dict[str, Any]
) -> None:
    with store.control("digits"):
        rewrite(lease_pid=2**22 + 1, **elsewhere)  # no process of that number can exist here
        assert not _is_free(second)
        assert meanwhile.seconds == 0.0, "it is clear without waiting"
        rewrite(lease_until=0.0)
        assert _is_free(second)
        assert meanwhile.seconds == pytest.approx(60.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The hosts' wall clock, which stands still until a test moves `now`."""
    clock = SimpleNamespace(now=1_000_000.0)
    monkeypatch.setattr(lease, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


@pytest.mark.parametrize(("age", "is_free"), [(0.0, False), (30.0, False), (59.9, False), (60.0, True), (1e6, True)])
def test_a_second_controller_in_another_container_at_every_age_of_the_lease(
    store: Store, second: Store, rewrite: Callable[..., None], meanwhile: Any, clock: SimpleNamespace,
    age: float, is_free: bool,
) -> None:  # fmt: skip
    with store.control("digits", lease_seconds=60.0) as study:
        rewrite(lease_pid_namespace="pid:[1]")
        clock.now += age
        assert _is_free(second) == is_free
        if is_free:
            with pytest.raises(StudyBusy, match="another process took over"):
                study.set_state("running")
        else:
            study.set_state("running")


@pytest.mark.postgres
def test_a_process_that_stands_still_in_a_transaction_holds_the_study_for_no_longer_than_a_server_waits(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(postgresql_url) as other:
        other.create_study("digits", {}, folder="", study_file="")
        monkeypatch.setattr(connect, "IDLE_SECONDS", 2.0)
        with Store.open(postgresql_url) as store, store.control("digits", lease_seconds=0.0) as study:
            stands_still = study._lease.writing()  # with the study's row in its hands
            with pytest.raises(DatabaseAway, match="idle"), stands_still, other.maintain("digits") as after:
                after.set_state("complete")
            with pytest.raises(StudyBusy, match="took over"):
                study.set_state("failed")


@pytest.mark.skipif(this_process().boot_id is None, reason="deaths are proven by /proc")
def test_a_process_that_got_the_number_of_a_dead_one_is_not_the_holder(
    store: Store, second: Store, rewrite: Callable[..., None]
) -> None:
    with store.control("digits"):
        rewrite(lease_process_started=1)
        assert _is_free(second)


def _is_free(store: Store) -> bool:
    """Whether the study can be controlled; it is free again afterwards."""
    try:
        with store.control("digits"):
            return True
    except StudyBusy:
        return False
