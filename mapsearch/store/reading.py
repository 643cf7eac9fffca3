"""What is read of a study inside a transaction."""

from sqlalchemy import ColumnElement, Connection, Select, func, select
from sqlalchemy.sql.expression import FromClause

from mapsearch.core.runs import Run
from mapsearch.core.studies import Study
from mapsearch.core.trials import Trial
from mapsearch.store.lease import is_held
from mapsearch.store.rows import Row, run_of, study_of, trial_of
from mapsearch.store.schema import runs, studies, trials


def read_studies(db: Connection, *conditions: ColumnElement[bool]) -> list[Study]:
    """The studies that the conditions hold for, newest first."""
    ordered = _studies().where(*conditions).order_by(studies.c.created_at.desc(), studies.c.name)
    return [study_of(row, held=is_held(row)) for row in db.execute(ordered).mappings()]


def read_trials(db: Connection, study_id: str, *conditions: ColumnElement[bool]) -> list[Trial]:
    """The study's trials that the conditions hold for, by number."""
    rows = select(trials).where(trials.c.study_id == study_id, *conditions)
    return [trial_of(row) for row in db.execute(rows.order_by(trials.c.number)).mappings()]


def read_runs(db: Connection, study_id: str) -> list[Run]:
    """The study's runs, by trial, rung and seed."""
    rows = select(runs).where(runs.c.study_id == study_id)
    return [run_of(row) for row in db.execute(rows.order_by(runs.c.trial, runs.c.rung, runs.c.seed)).mappings()]


def _studies() -> Select[Row]:
    return select(
        studies,
        _count(trials).label("n_trials"),
        _count(runs).label("n_runs"),
        _count(runs, runs.c.state == "complete").label("n_complete"),
    )


def _count(table: FromClause, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
    return select(func.count()).where(table.c.study_id == studies.c.id, *conditions).scalar_subquery()
