"""What is read of studies inside a transaction: whole nouns for those who compute, summaries and pages for lists."""

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, func, or_, select

from mapsearch.core.runs import Run
from mapsearch.core.studies import Study
from mapsearch.core.summaries import RunSummary, StudyEvent, StudySummary
from mapsearch.core.trials import Trial
from mapsearch.store.lease import STATE_COLUMNS, is_held
from mapsearch.store.rows import run_of, run_summary_of, study_of, study_summary_of, trial_of, undamaged
from mapsearch.store.schema import events, runs, studies, trials

SUMMARY_COLUMNS = [runs.c[field] for field in RunSummary.__dataclass_fields__]


def read_study(db: Connection, study_id: str) -> Study:
    """The study of that id, with all that its stages found."""
    with _undamaged(db, studies, study_id):
        row = db.execute(with_counts(*studies.c).where(studies.c.id == study_id)).mappings().one()
        return study_of(row, held=is_held(row))


def read_study_summaries(db: Connection, *conditions: ColumnElement[bool]) -> list[StudySummary]:
    """Every study that the conditions hold for, newest first."""
    c = studies.c
    shown = with_counts(c.name, c.note, c.created_at, c.updated_at, c.n_expected, c.sentence, *STATE_COLUMNS)
    rows = db.execute(shown.where(*conditions).order_by(c.created_at.desc(), c.name)).mappings()
    return [study_summary_of(row, held=is_held(row)) for row in rows]


def read_trials(db: Connection, study_id: str, *conditions: ColumnElement[bool]) -> list[Trial]:
    """The study's trials that the conditions hold for, by number."""
    rows = select(trials).where(trials.c.study_id == study_id, *conditions)
    with _undamaged(db, trials, study_id):
        return [trial_of(row) for row in db.execute(rows.order_by(trials.c.number)).mappings()]


def read_runs(db: Connection, study_id: str, *, of_trials: Collection[int] | None = None) -> list[Run]:
    """The study's runs with all of their results, by trial, rung and seed; those of some trials only, if given."""
    rows = select(runs).where(runs.c.study_id == study_id)
    if of_trials is not None:
        rows = rows.where(runs.c.trial.in_(of_trials))
    with _undamaged(db, runs, study_id):
        return [run_of(row) for row in db.execute(rows.order_by(runs.c.trial, runs.c.rung, runs.c.seed)).mappings()]


def read_run_summaries(
    db: Connection, study_id: str, *, of_trials: Collection[int] | None = None,
    after: tuple[int, int, int] | None = None, limit: int | None = None,
) -> list[RunSummary]:  # fmt: skip
    """The study's runs without their results, by trial, rung and seed; `after` is the key of the page before."""
    c = runs.c
    rows = select(*SUMMARY_COLUMNS).where(c.study_id == study_id)
    if of_trials is not None:
        rows = rows.where(c.trial.in_(of_trials))
    if after is not None:
        trial, rung, seed = after
        later_seed = and_(c.rung == rung, c.seed > seed)
        rows = rows.where(or_(c.trial > trial, and_(c.trial == trial, or_(c.rung > rung, later_seed))))
    ordered = rows.order_by(c.trial, c.rung, c.seed).limit(limit)
    with _undamaged(db, runs, study_id):
        return [run_summary_of(row) for row in db.execute(ordered).mappings()]


def read_events(db: Connection, study_id: str, *, after: int = 0, limit: int | None = None) -> list[StudyEvent]:
    """The study's events whose id is greater than `after`, oldest first; the first `limit` of them."""
    c = events.c
    rows = select(c.id, c.at, c.kind, c.message).where(c.study_id == study_id, c.id > after)
    return [StudyEvent(*row) for row in db.execute(rows.order_by(c.id).limit(limit))]


def _undamaged(db: Connection, table: Table, study_id: str) -> AbstractContextManager[None]:
    name = db.scalar(select(studies.c.name).where(studies.c.id == study_id))
    return undamaged(table, str(name))


def with_counts(*columns: ColumnElement[Any]) -> Select[Any]:
    """The columns of every study, with the counts of its trials and runs."""
    return select(
        *columns,
        _count(trials).label("n_trials"),
        _count(runs).label("n_runs"),
        _count(runs, runs.c.state == "complete").label("n_complete"),
    )


def _count(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.count()).where(table.c.study_id == studies.c.id, *conditions).scalar_subquery()
