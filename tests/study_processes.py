"""Studies as processes: what they say, what they leave behind, and whether it is what an undisturbed one leaves."""

import subprocess
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from sqlalchemy import create_engine, update
from study_fixtures import Results, arguments_of

from mapsearch.core.errors import StoreError
from mapsearch.core.runs import RunKey
from mapsearch.store.schema import studies
from mapsearch.store.store import Store

HASTY = """
import sys, time
from types import SimpleNamespace
from mapsearch.cli.main import main
from mapsearch.store import watching
watching.time = SimpleNamespace(monotonic=lambda: 20 * time.monotonic(), sleep=lambda seconds: time.sleep(seconds / 20))
sys.exit(main())
"""
"""`mapsearch` as a program for Python that watches a lease for three seconds: enough where its holder stands still."""


def members(session: int) -> dict[str, str]:
    """The command lines of the live processes of a session, by process id: a command and all that it started."""
    found = {}
    for folder in [path for path in Path("/proc").iterdir() if path.name.isdigit()]:
        try:
            state, _, _, number, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if number == str(session) and state not in "ZX":
            found[folder.name] = arguments_of(int(folder.name))
    return found


def hear(process: subprocess.Popen[str], words: str) -> None:
    """Read what the process says, up to the line with these words; what is left is for `end`."""
    assert process.stderr is not None
    heard = []
    for line in process.stderr:
        heard.append(line)
        if words in line:
            return
    raise AssertionError(f"it ended without `{words}`: {''.join(heard)}")


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code of a process, all of whose family must have left with it, and what it still had to say."""
    assert process.stderr is not None
    said = process.stderr.read()
    code = process.wait()
    assert "Traceback" not in said
    assert members(process.pid) == {}, said
    return code, said


def n_controllers(url: str) -> int:
    """How many processes have had the study."""
    with suppress(StoreError), Store.open_to_read(url) as store, store._database.reading() as db:
        return db.exec_driver_sql("SELECT lease_epoch FROM mapsearch_studies").scalar() or 0
    return 0


def expire(url: str) -> None:
    """The lease of the study has run out, as it does when its holder stands still for that long; it is watched then."""
    engine = create_engine(url)
    with engine.begin() as db:
        db.execute(update(studies).values(lease_until=0.0))
    engine.dispose()


def lost(url: str) -> list[RunKey]:
    """The runs of the attempts that were lost."""
    with Store.open_to_read(url) as store, store._database.reading() as db:
        rows = db.exec_driver_sql("SELECT trial, rung, seed FROM mapsearch_attempts WHERE state = 'lost'")
        return sorted((trial, rung, seed) for trial, rung, seed in rows)


def check_undisturbed(
    url: str, undisturbed: str, results: Callable[..., Results], attempts: Collection[int] = (1,)
) -> None:
    """The study is complete, every run ended once and as in the undisturbed one, and nothing is under way."""
    with Store.open(url) as store, store._database.reading() as db:
        assert db.exec_driver_sql("SELECT state, lease_owner FROM mapsearch_studies").all() == [("complete", None)]
        tried = db.exec_driver_sql("SELECT trial, rung, seed, state FROM mapsearch_attempts").all()
    assert not any(state == "running" for *_, state in tried)
    ended = [tuple(run) for *run, state in tried if state == "complete"]
    assert sorted(ended) == sorted(run.key for run in results(url)[1])
    assert {run.attempt for run in results(url)[1]} <= set(attempts)
    assert results(url, reproducible=True) == results(undisturbed, reproducible=True)
    assert _verdict(url) == _verdict(undisturbed)


def _verdict(url: str) -> tuple[object, ...]:
    """What it says; of its context, clocks decide how long `outputs_equal_time` trains."""
    with Store.open_to_read(url) as store:
        verdict = store.study("tiny").facts.verdict
    assert verdict is not None
    return verdict.decision, verdict.nominee, verdict.recommended, verdict.questions
