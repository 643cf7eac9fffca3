"""The loss curves of runs: most of what a study takes in the database, and only there to be looked at."""

from sqlalchemy import Connection, and_, func, select, update

from mapsearch.store.schema import runs

KEY = (runs.c.trial, runs.c.rung, runs.c.seed)


def n_bytes(db: Connection, study_id: str) -> int:
    """Bytes of all curves of the study that are not empty, as text."""
    text = runs.c.result["curve"].as_string()
    of_study = and_(runs.c.study_id == study_id, runs.c.result.is_not(None), func.length(text) > len("[]"))
    return db.scalar(select(func.sum(func.length(text))).where(of_study)) or 0


def drop(db: Connection, study_id: str) -> None:
    """Empties them, trial by trial: all results at once may not fit into memory."""
    numbers = db.scalars(select(runs.c.trial).where(runs.c.study_id == study_id).distinct()).all()
    for number in numbers:
        own = and_(runs.c.study_id == study_id, runs.c.trial == number, runs.c.result.is_not(None))
        for *key, result in db.execute(select(*KEY, runs.c.result).where(own)).all():
            this = and_(own, *(column == value for column, value in zip(KEY, key, strict=True)))
            db.execute(update(runs).where(this).values(result={**result, "curve": []}))
