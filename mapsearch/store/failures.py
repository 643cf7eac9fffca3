"""Failed runs with what they may have in common, and how many runs of the study share that; counted in SQL."""

from typing import Any

from sqlalchemy import Connection, Select, and_, func, select

from mapsearch.core.failures import FailedRun, FailureGroup, group_failures
from mapsearch.core.runs import FINISHED
from mapsearch.store.schema import attempts, runs, trials

FAILED = tuple(state for state in FINISHED if state != "complete")


_LOSS = trials.c.recipe["loss"].as_string().label("loss")
_RATE = trials.c.recipe["lr_factor"].as_float().label("rate")


def read_failures(db: Connection, study_id: str) -> tuple[FailureGroup, ...]:
    """The failed runs of the study, grouped; nothing more is read of a study without any."""
    c = runs.c
    of_run = and_(
        attempts.c.study_id == c.study_id, attempts.c.trial == c.trial, attempts.c.rung == c.rung,
        attempts.c.seed == c.seed, attempts.c.attempt == c.attempt,
    )  # fmt: skip
    shown = select(c.state, c.error, c.seed, c.trial, _LOSS, _RATE, attempts.c.worker)
    joined = shown.join(trials, and_(trials.c.study_id == c.study_id, trials.c.number == c.trial))
    failed_runs = joined.outerjoin(attempts, of_run).where(c.study_id == study_id, c.state.in_(FAILED))
    rows = db.execute(failed_runs.order_by(c.trial, c.rung, c.seed)).all()
    failed = [FailedRun(row.state, row.error, _traits(row)) for row in rows]
    if not failed:
        return ()
    totals = _read_totals(db, study_id)
    return group_failures(failed, totals, sum(totals["seed"].values()))


def _traits(row: Any) -> dict[str, str]:
    known = {"seed": str(row.seed), "loss": row.loss, "lr_factor": _rate(row.rate), "trial": str(row.trial)}
    return known if row.worker is None else {**known, "worker": row.worker}


def _read_totals(db: Connection, study_id: str) -> dict[str, dict[str, int]]:
    """How many runs have ended, by trait and value."""
    c, is_ended = runs.c, and_(runs.c.study_id == study_id, runs.c.state.in_(FINISHED))
    by_trial = select(c.trial, func.count().label("n")).where(is_ended).group_by(c.trial).subquery()
    failed = select(c.trial).where(c.study_id == study_id, c.state.in_(FAILED))
    of_trial = and_(trials.c.study_id == study_id, trials.c.number == by_trial.c.trial)
    by_recipe = select(_LOSS, _RATE, func.sum(by_trial.c.n)).join(by_trial, of_trial).group_by(_LOSS, _RATE)
    losses, rates = dict[str, int](), dict[str, int]()
    for loss, rate, n in db.execute(by_recipe):
        losses[loss] = losses.get(loss, 0) + int(n)
        rates[_rate(rate)] = rates.get(_rate(rate), 0) + int(n)
    ended = and_(attempts.c.study_id == study_id, attempts.c.state.in_(FINISHED))
    return {
        "seed": _counts(db, select(c.seed, func.count()).where(is_ended).group_by(c.seed)),
        "loss": losses,
        "lr_factor": rates,
        "trial": _counts(db, select(by_trial).where(by_trial.c.trial.in_(failed))),
        "worker": _counts(db, select(attempts.c.worker, func.count()).where(ended).group_by(attempts.c.worker)),
    }


def _counts(db: Connection, query: Select[Any]) -> dict[str, int]:
    return {str(value): n for value, n in db.execute(query)}


def _rate(stored: float | None) -> str:
    """Recipes of earlier versions have none."""
    return f"{1.0 if stored is None else stored:g}"
