"""A second controller at every age of the first one's lease, beside it or in another container: never do two write."""

import os
import signal
import sys

import pytest
from containers import container
from study_fixtures import Hold, write
from study_processes import HASTY, check_undisturbed, end, expire, members, n_controllers

from mapsearch.store.store import Store

BESIDE_IT, ELSEWHERE, ALIKE = (None, None), (None, "other"), ("same", "same")
"""The host of the first controller, and that of those that come after it; one with a name is a container of its own.

Controllers in containers have the number 1: names and numbers do not say which is which.
"""


@pytest.fixture
def url(request, tmp_path):
    """The empty database of the kind that a test asks for."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql_url")
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def hold(tmp_path, url, eventually):
    """`hold(name)` stops the study in that folder."""
    return lambda name: Hold(write(tmp_path / name, task="task.py:Held").parent, url, eventually)


@pytest.fixture
def begin(mapsearch, url, tmp_path):
    """`begin(name, host)` -> `mapsearch run` of the study in that folder, as a machine has a copy of its own."""

    def run(name, host):
        study, before = write(tmp_path / name, task="task.py:Held"), container(host) if host else ()
        return mapsearch("run", study, "--storage", url, before=before, program=("-c", HASTY))

    return run


def controller(process):
    """The number of the controller itself, wherever it lives, as it is seen from here."""
    commands = members(process.pid).items()
    (pid,) = (int(pid) for pid, words in commands if words.startswith(sys.executable) and "\0-c\0" in words)
    return pid


def check_refused(process, url):
    before = rows(url)
    code, said = end(process)
    assert code == 2, said
    assert "error: study `tiny` is run by process" in said
    assert rows(url) == before


def rows(url):
    """All that stands in the tables of the study and of Optuna, but until when its controller holds it."""
    tables = ("mapsearch_trials", "mapsearch_runs", "mapsearch_attempts", "trials", "trial_values")
    study = "SELECT state, facts, lease_owner, lease_epoch FROM mapsearch_studies"
    with Store.open_to_read(url) as store, store._database.reading() as db:
        queries = (study, *(f"SELECT * FROM {table}" for table in tables))
        return [sorted(map(repr, db.exec_driver_sql(query))) for query in queries]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("sqlite", BESIDE_IT),
        ("sqlite", ALIKE),
        pytest.param("postgresql", ELSEWHERE, marks=pytest.mark.postgres),
    ],
    indirect=["url"],
)
def test_a_second_controller_at_every_age_of_the_lease(hosts, begin, hold, url, eventually, finished, results):
    here, there = hosts
    one, two = hold("one"), hold("two")
    one.begin()
    first = begin("one", here)
    one.reach("tune")
    check_refused(begin("two", there), url)  # it works
    os.kill(controller(first), signal.SIGSTOP)
    check_refused(begin("two", there), url)  # it stands still, which nobody can tell yet
    expire(url)
    two.begin()
    second = begin("two", there)
    two.reach("search")
    before = rows(url)
    one.release()  # its worker ends what it trains
    os.kill(controller(first), signal.SIGCONT)
    code, said = end(first)
    assert (code, "took over" in said) == (2, True), said
    assert rows(url) == before
    # A namespace that is kept keeps its number; the next of that number would prove that all in it are dead.
    with open(f"/proc/{controller(second)}/ns/pid"):
        os.kill(controller(second), signal.SIGKILL)
        second.wait()
        eventually(lambda: members(second.pid) == {})
        (two.folder / "hold").unlink()
        if there:  # nobody there can see that it is dead
            check_refused(begin("two", there), url)
            expire(url)
    assert end(begin("two", there))[0] == 0
    assert n_controllers(url) == 3
    check_undisturbed(url, finished[1], results, attempts=(1, 2, 3))
    before = results(url)
    assert end(begin("two", there))[0] == 0  # it has finished
    assert results(url) == before
