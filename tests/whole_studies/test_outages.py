"""Whole studies whose database is locked, full, stopped or deleted meanwhile: every run once, the same verdict."""

import os
import re
import resource
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from study_fixtures import STAGES, Hold

from mapsearch.controller.run import run
from mapsearch.core.events import Message
from mapsearch.core.trials import Trial
from mapsearch.store import sqlite
from mapsearch.store.store import Store

OUTAGE_SECONDS = float(os.environ.get("MAPSEARCH_OUTAGE_SECONDS", "0"))
"""How long a server stays down once a result waits for it, at least."""

BEFORE_RUNS = ("check", "similarity")
"""Stages that have nothing to keep."""

LOCK = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(path):
    """Another process holds the file's write lock."""
    with subprocess.Popen(
        [sys.executable, "-c", LOCK, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "locked\n"
        yield
        other.stdin.close()


@contextmanager
def full(path):
    """No file of this process may grow: what is appended to the log fails, and small new files do not."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def kept(folder):
    """What stands in the spool of the study beside `folder`'s database, or in the folder itself."""
    return b"".join(path.read_bytes() for path in folder.glob("mapsearch-cache/unwritten-*"))


def check_once(url, finished, results):
    """Every run ended once, in its first attempt, and as in the undisturbed study."""
    assert results(url, reproducible=True) == results(finished[1], reproducible=True)
    assert {(r.state, r.attempt) for r in results(url)[1]} == {("complete", 1)}


@pytest.mark.parametrize("fault", [locked, pytest.param(full, marks=pytest.mark.slow)])
def test_a_file_that_cannot_be_written_for_a_while(
    fault, finished, results, spec, url, tmp_path, monkeypatch, eventually
):
    monkeypatch.setattr(sqlite, "PATIENCE_SECONDS", 0.1)
    begin, is_over = threading.Event(), threading.Event()

    def disturb():
        begin.wait()
        with fault(url.removeprefix("sqlite:///")):
            eventually(lambda: b'"ended"' in kept(tmp_path))
        is_over.set()

    threading.Thread(target=disturb, daemon=True).start()
    told = []
    for item in run(spec(), url):
        if isinstance(item, Trial) and item.proposer == "control":
            begin.set()
        told += [item.text] if isinstance(item, Message) and item.stage == "database" else []
    assert is_over.is_set()
    assert any(re.search(r"\b[1-9]\d* results kept meanwhile are written", text) for text in told)
    check_once(url, finished, results)
    assert kept(tmp_path) == b""
    with Store.open(url) as store:
        assert any(event.kind == "database" for event in store.events("tiny"))


@pytest.mark.slow
def test_a_deleted_file_is_noticed_and_what_it_held_and_what_it_did_not_comes_back(
    finished, results, mapsearch, write_study, url, tmp_path, n_complete, eventually
):
    path, command = Path(url.removeprefix("sqlite:///")), ("run", write_study(), "--storage", url)
    process = mapsearch(*command)
    eventually(lambda: n_complete(url) >= 8)
    with locked(path):  # so that results are kept before it goes
        eventually(lambda: b'"ended"' in kept(tmp_path))
        for left in path.parent.glob("study.db*"):
            left.unlink()
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 1, said
    (saved,) = path.parent.glob("study.db.saved-*")
    assert f"move {saved} there" in said
    assert not path.exists()
    saved.rename(path)
    n_kept, n_held = kept(tmp_path).count(b'"ended"'), n_complete(url)
    assert n_kept > 0
    process = mapsearch(*command)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert f"{n_kept} results kept meanwhile are written" in said
    assert n_held >= 8
    assert kept(tmp_path) == b""
    assert results(url, reproducible=True) == results(finished[1], reproducible=True)


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("killed", [False, True])
def test_a_server_that_stops_for_a_while(
    killed, postgresql, postgresql_url, finished, results, mapsearch, write_study, n_complete, eventually, tmp_path
):
    command = ("run", write_study(), "--storage", postgresql_url)
    process = mapsearch(*command)
    eventually(lambda: n_complete(postgresql_url) >= 8)
    postgresql.stop()
    try:
        eventually(lambda: b'"ended"' in kept(tmp_path))
        time.sleep(OUTAGE_SECONDS)
        if killed:
            process.kill()
    finally:
        postgresql.start()
    if killed:
        process.communicate()
        process = mapsearch(*command)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert "results kept meanwhile are written" in said
    assert results(postgresql_url, reproducible=True) == results(finished[1], reproducible=True)
    assert kept(tmp_path) == b""
    attempts = {r.attempt for r in results(postgresql_url)[1]}
    assert attempts == ({1, 2} if killed and 2 in attempts else {1})


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_a_server_that_is_restarted_in_every_stage(
    postgresql, postgresql_url, finished, results, mapsearch, write_study, eventually, tmp_path
):
    study = write_study(task="task.py:Held")
    hold = Hold(study.parent, postgresql_url, eventually)
    hold.begin()
    process = mapsearch("run", study, "--storage", postgresql_url)
    for stage in STAGES:
        hold.reach(stage)
        postgresql.stop()
        try:
            hold.release()
            eventually(lambda: not (hold.folder / "go").exists())
            eventually(lambda stage=stage: stage in BEFORE_RUNS or b'"ended"' in kept(tmp_path))
            hold.begin()
        finally:
            postgresql.start()
    hold.release()
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert said.count("results kept meanwhile are written") >= len(STAGES) - len(BEFORE_RUNS)
    check_once(postgresql_url, finished, results)
    assert kept(tmp_path) == b""
