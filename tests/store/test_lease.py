"""One controller per study: the lease is refused while its holder lives, and taken over when it does not."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mapsearch.core.errors import StudyBusy
from mapsearch.store.store import Store

HOLD = """
import sys, time
from mapsearch.store.store import Store
store = Store.open(sys.argv[1])
store.acquire("digits", seconds=3600)
store.plan_runs("digits", [])
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def second(store: Store) -> Iterator[Store]:
    with Store.open(store.url) as second:
        yield second


def test_a_second_controller_is_refused_and_told_who_holds_the_study(store: Store, second: Store) -> None:
    store.acquire("digits")
    store.acquire("digits")  # one's own lease is no obstacle
    with pytest.raises(StudyBusy, match=rf"`digits` is run by process {os.getpid()} on .* until at least 2.*\+00:00"):
        second.acquire("digits")
    second.release("digits")  # not its own: nothing happens
    store.renew("digits")
    store.release("digits")
    second.acquire("digits")


def test_a_lease_is_of_one_study(store: Store, second: Store) -> None:
    store.create_study("other", {}, folder="", study_file="")
    store.acquire("digits")
    second.acquire("other")


def test_an_expired_lease_is_taken_over_and_its_holder_learns_of_it(store: Store, second: Store) -> None:
    store.acquire("digits", seconds=0)
    second.acquire("digits")
    with pytest.raises(StudyBusy, match="took over from this process"):
        store.renew("digits")
    with pytest.raises(StudyBusy, match="is run by process"):
        store.acquire("digits")


def test_an_expired_lease_that_nobody_took_is_renewed(store: Store, second: Store) -> None:
    store.acquire("digits", seconds=0)
    store.renew("digits")
    with pytest.raises(StudyBusy, match="is run by process"):
        second.acquire("digits")


def test_a_lease_that_was_never_held_is_not_renewed(store: Store) -> None:
    with pytest.raises(StudyBusy, match="holds no lease"):
        store.renew("digits")


@pytest.mark.skipif(os.name == "nt", reason="dead processes are not looked for on Windows")
def test_the_lease_of_a_killed_process_is_taken_over(store: Store) -> None:
    command = [sys.executable, "-c", HOLD, store.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(StudyBusy, match=f"is run by process {holder.pid}"):
                store.acquire("digits")
        finally:
            holder.kill()
    store.acquire("digits")
