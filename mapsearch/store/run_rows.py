"""Runs and their attempts, written inside a transaction that holds the study's lease."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from mapsearch.core.runs import FINISHED, RunKey, RunPlan, RunResult
from mapsearch.core.text import storable
from mapsearch.store.rows import NO_RESULT, now, result_columns, run_row
from mapsearch.store.schema import attempts, runs


def plan(db: Connection, study_id: str, plans: Sequence[RunPlan]) -> None:
    """Adds the runs that the study lacks, waiting."""
    if not plans:
        return
    numbers = [plan.trial for plan in plans]
    around = (runs.c.study_id == study_id) & runs.c.trial.between(min(numbers), max(numbers))
    known = {tuple(row) for row in db.execute(select(runs.c.trial, runs.c.rung, runs.c.seed).where(around))}
    new = {plan.key: run_row(study_id, plan) for plan in plans if plan.key not in known}
    if new:
        db.execute(insert(runs), list(new.values()))


def start(
    db: Connection, study_id: str, key: RunKey, attempt: int, worker: str, execution: dict[str, Any] | None
) -> None:
    """Begins the attempt if it is newer than the run's; an attempt still under way is lost.

    `execution` is where it runs: devices, threads and what else `Execution` holds.
    """
    # A complete run is never begun again: its result would be gone.
    waits = _run(study_id, key) & (runs.c.attempt < attempt) & (runs.c.state != "complete")
    begun = update(runs).where(waits).values(state="running", attempt=attempt, value=None, **NO_RESULT)
    if db.execute(begun).rowcount == 0:
        return
    _lose(db, _attempts(study_id, key))
    trial, rung, seed = key
    row = {"study_id": study_id, "trial": trial, "rung": rung, "seed": seed, "attempt": attempt}
    new = {"worker": worker, "execution": execution, "state": "running", "started_at": now(), "error": ""}
    db.execute(insert(attempts).values(**row, **new))


def finish(db: Connection, study_id: str, result: RunResult, value: float | None) -> bool:
    """Records how the attempt ended; False, and no change, if it is not the one under way."""
    current = _run(study_id, result.key) & (runs.c.attempt == result.attempt) & (runs.c.state == "running")
    finished = update(runs).where(current).values(state=result.state, value=value, **result_columns(result))
    if db.execute(finished).rowcount == 0:
        return False
    ended = update(attempts).where(_attempts(study_id, result.key) & (attempts.c.attempt == result.attempt))
    db.execute(ended.values(state=result.state, finished_at=now(), error=storable(result.error)))
    return True


def has_ended(db: Connection, study_id: str, result: RunResult) -> bool:
    """Whether the run ended with this very attempt."""
    ended = _run(study_id, result.key) & (runs.c.attempt == result.attempt) & runs.c.state.in_(FINISHED)
    return db.execute(select(runs.c.state).where(ended)).first() is not None


def release(db: Connection, study_id: str) -> int:
    """Lets runs that are under way wait again; how many."""
    running = (runs.c.study_id == study_id) & (runs.c.state == "running")
    released = db.execute(update(runs).where(running).values(state="waiting")).rowcount
    _lose(db, attempts.c.study_id == study_id)
    return released


def reopen(db: Connection, study_id: str, key: RunKey) -> None:
    """Lets a run that ended wait for another attempt; one that is complete stays so."""
    ended = _run(study_id, key) & (runs.c.state != "complete")
    db.execute(update(runs).where(ended).values(state="waiting", value=None, **NO_RESULT))


def _lose(db: Connection, whose: ColumnElement[bool]) -> None:
    lost = whose & (attempts.c.state == "running")
    db.execute(update(attempts).where(lost).values(state="lost", finished_at=now()))


def _run(study_id: str, key: RunKey) -> ColumnElement[bool]:
    trial, rung, seed = key
    return (runs.c.study_id == study_id) & (runs.c.trial == trial) & (runs.c.rung == rung) & (runs.c.seed == seed)


def _attempts(study_id: str, key: RunKey) -> ColumnElement[bool]:
    c, (trial, rung, seed) = attempts.c, key
    return (c.study_id == study_id) & (c.trial == trial) & (c.rung == rung) & (c.seed == seed)
