"""Trials as pages show them: a page of many in any order, and one with all of its runs and their attempts."""

from typing import get_args

from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select, true

from mapsearch.core.details import Attempt, TrialDetails, TrialList, TrialOrder
from mapsearch.core.errors import StudyNotFound
from mapsearch.core.trials import Proposer
from mapsearch.store.overview import read_best, read_head, read_trial_rows, summed_up
from mapsearch.store.reading import read_runs, read_study
from mapsearch.store.rows import undamaged
from mapsearch.store.schema import attempts, runs, trials

PROPOSERS = get_args(Proposer)


def read_trial_list(
    db: Connection, study_id: str, *, kind: str, order: TrialOrder, offset: int, limit: int
) -> TrialList:
    """A page of the study's trials.

    Args:
        kind: a proposer, or the name of a control; empty for every trial.
        order: by number, or the best first by search value or by the mean on fresh seeds.
    """
    c, study = trials.c, read_head(db, study_id)
    fits: ColumnElement[bool] = or_(c.proposer == kind, c.control == kind) if kind else true()
    n_fitting = db.scalar(select(func.count()).where(c.study_id == study_id, fits)) or 0
    with undamaged(trials, study.name):
        rows = read_trial_rows(
            db, study_id, fits, order_by=_ordering(study_id, order, study.direction), limit=limit, offset=offset
        )
    these = runs.c.trial.in_([row["number"] for row in rows]) if rows else None
    return TrialList(study, summed_up(db, study_id, study, rows, these), n_fitting)


def read_trial(db: Connection, study_id: str, number: int) -> TrialDetails:
    """One trial with all of its runs; the overview beside it has the controls.

    Raises:
        StudyNotFound: the study has no such trial.
    """
    study = read_study(db, study_id)
    overview = read_best(db, study_id, 0)
    with undamaged(trials, study.name):
        rows = read_trial_rows(db, study_id, trials.c.number == number, order_by=[trials.c.number])
    found = summed_up(db, study_id, overview, rows, runs.c.trial == number)
    if not found:
        known = f"its trials are 0 to {study.n_trials - 1}" if study.n_trials else "it has no trials yet"
        raise StudyNotFound(f"study `{study.name}` has no trial {number}; {known}")
    own = tuple(read_runs(db, study_id, of_trials=[number]))
    return TrialDetails(overview, study.facts, found[0], own, _read_attempts(db, study_id, number))


def _ordering(study_id: str, order: TrialOrder, direction: str) -> list[ColumnElement[object]]:
    c = trials.c
    if order == "number":
        return [c.number]
    value: ColumnElement[object] = c.value
    if order == "confirmed":
        own = and_(runs.c.study_id == study_id, runs.c.trial == c.number, runs.c.stage == "confirm")
        value = select(func.avg(runs.c.value)).where(own).scalar_subquery()
    missing = case((value.is_(None), 1), else_=0)
    return [missing, value.desc() if direction == "maximize" else value, c.number]


def _read_attempts(db: Connection, study_id: str, number: int) -> tuple[Attempt, ...]:
    c = attempts.c
    fields = [c[field] for field in Attempt.__dataclass_fields__]
    rows = select(*fields).where(c.study_id == study_id, c.trial == number).order_by(c.rung, c.seed, c.attempt)
    return tuple(Attempt(*row) for row in db.execute(rows))
