"""A study as a page tells of it: the overview of `show`, what its stages found and took, its search history."""

from datetime import datetime
from typing import get_args

from sqlalchemy import Connection, and_, case, func, select

from mapsearch.core.details import StageCost, StudyDetails, TrialValue
from mapsearch.core.facts import StudyFacts
from mapsearch.core.runs import INFEASIBLE, Stage
from mapsearch.core.summaries import StudyEvent
from mapsearch.store.overview import read_best
from mapsearch.store.rows import expect, undamaged
from mapsearch.store.schema import attempts, events, runs, studies, trials

STAGES: tuple[Stage, ...] = get_args(Stage)
FAILED = (*INFEASIBLE, "crashed")

SHOWN_EVENTS = 10
PACE_RUNS = 40
"""Runs that tell the pace: a few cohorts, of the stage under way."""


def read_details(db: Connection, study_id: str, n_best: int) -> StudyDetails:
    """The study with so many of its best proposals, the tuned recipes and every control."""
    overview, c = read_best(db, study_id, n_best), studies.c
    stored = select(c.facts, c.spec, c.created_at, c.updated_at, c.folder).where(c.id == study_id)
    with undamaged(studies, overview.name):
        row = db.execute(stored).one()
        expect(dict, spec=row.spec, facts=row.facts)
        facts = StudyFacts.from_json(row.facts)
    pace = _read_pace(db, study_id) if overview.state == "running" else None
    return StudyDetails(
        overview, facts, row.spec, _read_history(db, study_id), _read_stages(db, study_id), row.created_at,
        row.updated_at, _read_newest_events(db, study_id), pace, row.folder,
    )  # fmt: skip


def _read_history(db: Connection, study_id: str) -> tuple[TrialValue, ...]:
    c = trials.c
    rows = select(c.number, c.proposer, c.control, c.value).where(c.study_id == study_id).order_by(c.number)
    return tuple(TrialValue(*row) for row in db.execute(rows).all())


def _read_stages(db: Connection, study_id: str) -> tuple[StageCost, ...]:
    c = runs.c
    complete = c.state == "complete"
    sums = (
        func.count(),
        func.sum(case((complete, 1), else_=0)),
        func.sum(case((c.state.in_(FAILED), 1), else_=0)),
        func.coalesce(func.sum(c.seconds), 0.0),
        func.coalesce(func.sum(case((complete, c.n_steps))), 0),
    )
    rows = db.execute(select(c.stage, *sums).where(c.study_id == study_id).group_by(c.stage))
    return tuple(sorted((StageCost(*row) for row in rows), key=lambda cost: STAGES.index(cost.stage)))


def _read_newest_events(db: Connection, study_id: str) -> tuple[StudyEvent, ...]:
    c = events.c
    rows = select(c.id, c.at, c.kind, c.message).where(c.study_id == study_id).order_by(c.id.desc()).limit(SHOWN_EVENTS)
    return tuple(reversed([StudyEvent(*row) for row in db.execute(rows)]))


def _read_pace(db: Connection, study_id: str) -> float | None:
    """Optimizer steps per second of the clock, over the last complete runs; None before there are any."""
    c = attempts.c
    of_run = and_(runs.c.study_id == c.study_id, runs.c.trial == c.trial, runs.c.rung == c.rung, runs.c.seed == c.seed)
    last = select(c.started_at, c.finished_at, runs.c.n_steps).join(runs, of_run)
    complete = last.where(c.study_id == study_id, c.state == "complete", c.finished_at.is_not(None))
    rows = db.execute(complete.order_by(c.finished_at.desc()).limit(PACE_RUNS)).all()
    if not rows:
        return None
    began, ended = (datetime.fromisoformat(time) for time in (min(row[0] for row in rows), max(row[1] for row in rows)))
    seconds = (ended - began).total_seconds()
    return sum(row.n_steps for row in rows) / seconds if seconds > 0 else None
