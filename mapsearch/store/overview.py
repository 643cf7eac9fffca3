"""A study as `show` tells of it: runs are summed up in SQL, and no row is loaded that is not shown."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, cast, func, or_, select

from mapsearch.core.recipe import Recipe
from mapsearch.core.summaries import StudyCost, StudyOverview, TrialSummary
from mapsearch.core.trials import PROPOSALS
from mapsearch.store.lease import STATE_COLUMNS, is_held
from mapsearch.store.rows import Row, expect, overview_of, trial_summary_of, undamaged
from mapsearch.store.schema import runs, studies, trials

STORED_TRIAL = ("number", "proposer", "control", "state", "value", "recipe", "params")
"""What a summary takes from a trial's own row."""


def read_page(db: Connection, study_id: str, *, after: int, limit: int | None) -> StudyOverview:
    """The study with its trials whose numbers are above `after`, by number; the first `limit` of them."""
    study, c = read_head(db, study_id), trials.c
    with undamaged(trials, study.name):
        rows = read_trial_rows(db, study_id, c.number > after, order_by=[c.number], limit=limit)
    span = runs.c.trial.between(rows[0]["number"], rows[-1]["number"]) if rows else None
    return replace(study, trials=summed_up(db, study_id, study, rows, span))


def read_best(db: Connection, study_id: str, n_best: int | None) -> StudyOverview:
    """The study with its best proposals, confirmed ones first, then the tuned recipes and the controls by number."""
    study, c = read_head(db, study_id), trials.c
    is_confirmed = and_(runs.c.study_id == study_id, runs.c.stage == "confirm", runs.c.value.is_not(None))
    confirmed = select(runs.c.trial).where(is_confirmed)
    ranking = [c.number.not_in(confirmed), c.value.desc() if study.direction == "maximize" else c.value, c.number]
    proposals = and_(c.proposer.in_(PROPOSALS), c.value.is_not(None))
    others = or_(c.control != "", c.proposer == "tune")
    with undamaged(trials, study.name):
        best = read_trial_rows(db, study_id, proposals, order_by=ranking, limit=n_best)
        rows = [*best, *read_trial_rows(db, study_id, others, order_by=[c.number])]
        for row in rows:
            Recipe.from_json(row["recipe"])  # what is shown in words must be one
    these = runs.c.trial.in_([row["number"] for row in rows])
    return replace(study, trials=summed_up(db, study_id, study, rows, these))


def read_head(db: Connection, study_id: str) -> StudyOverview:
    """The study without any trial; of what its stages found, the verdict and the teacher's metrics only."""
    c = studies.c
    found = [c.facts[name].label(name) for name in ("verdict", "teacher", "overheads", "port")]
    n_trials = select(func.count()).where(trials.c.study_id == study_id).scalar_subquery().label("n_trials")
    shown = select(c.name, c.note, c.spec, c.n_expected, n_trials, *found, *STATE_COLUMNS).where(c.id == study_id)
    with undamaged(studies, str(db.scalar(select(c.name).where(c.id == study_id)))):
        row = db.execute(shown).mappings().one()
    n_runs, n_complete, cost = _read_totals(db, study_id)
    return overview_of({**row, "n_runs": n_runs, "n_complete": n_complete}, held=is_held(row), cost=cost)


def _read_totals(db: Connection, study_id: str) -> tuple[int, int, StudyCost]:
    """All of the study's runs, the complete ones, and what they took, in one pass."""
    c, complete = runs.c, runs.c.state == "complete"
    sums = func.count().filter(complete), func.sum(c.seconds), func.sum(c.n_steps).filter(complete)
    n_runs, n_complete, seconds, n_steps = db.execute(select(func.count(), *sums).where(c.study_id == study_id)).one()
    return n_runs, n_complete, StudyCost(seconds or 0.0, n_steps or 0)


def read_trial_rows(
    db: Connection, study_id: str, condition: ColumnElement[bool], *, order_by: list[Any], limit: int | None = None,
    offset: int | None = None,
) -> Sequence[Row]:  # fmt: skip
    """The rows of the study's trials that the condition holds for, with what a summary takes of them."""
    shown = select(*(trials.c[name] for name in STORED_TRIAL)).where(trials.c.study_id == study_id, condition)
    return db.execute(shown.order_by(*order_by).limit(limit).offset(offset)).mappings().all()


def summed_up(
    db: Connection, study_id: str, study: StudyOverview, rows: Sequence[Row], these: ColumnElement[bool] | None
) -> tuple[TrialSummary, ...]:
    """The trials of the rows with what their runs came to; `these` holds for the runs of the trials."""
    if these is None:
        return ()
    own = and_(runs.c.study_id == study_id, these)
    with undamaged(runs, study.name):
        confirmed, warnings, mixed_weights = _confirmed(db, own), _warnings(db, own), _mixed_weights(db, own)
        overheads = dict(db.execute(_median_overheads(study_id, own)).all())
    with undamaged(trials, study.name):
        return tuple(
            trial_summary_of(
                row,
                **confirmed.get(row["number"], {}),
                overhead=_smoothed(study, row["recipe"], overheads.get(row["number"])),
                overhead_measured=overheads.get(row["number"]),
                warnings=tuple(warnings.get(row["number"], ())),
                mixed_weights=mixed_weights.get(row["number"], ()),
            )
            for row in rows
        )


def _smoothed(study: StudyOverview, recipe: dict[str, Any], measured: float | None) -> float | None:
    """What the recipe costs by all that share its parts; as it was measured before that is known."""
    return study.overheads.of(recipe) if study.overheads and recipe["pairs"] else measured


def _confirmed(db: Connection, own: ColumnElement[bool]) -> dict[int, dict[str, Any]]:
    """What each trial came to on its fresh seeds: the study's metric, the seeds, and every metric."""
    c, found = runs.c, defaultdict[int, list[Any]](list)
    shown = select(c.trial, c.seed, c.value, c.result["metrics"].label("metrics"))
    rows = shown.where(own, c.stage == "confirm", c.value.is_not(None))
    for run in db.execute(rows.order_by(c.trial, c.seed, c.rung)):
        expect(dict, metrics=run.metrics)
        found[run.trial].append(run)
    return {
        trial: {
            "confirmed": tuple(run.value for run in own_runs),
            "confirmed_seeds": tuple(run.seed for run in own_runs),
            "confirmed_metrics": {name: tuple(run.metrics.get(name) for run in own_runs) for name in _names(own_runs)},
        }
        for trial, own_runs in found.items()
    }


def _names(confirmed: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(name for run in confirmed for name in run.metrics))


def _warnings(db: Connection, own: ColumnElement[bool]) -> dict[int, dict[str, None]]:
    """The texts of each trial in the order in which they came, as keys; what runs have in common is loaded once."""
    c, notes, found = runs.c, cast(runs.c.notes, Text), defaultdict[int, dict[str, None]](dict)
    place = func.row_number().over(partition_by=(c.trial, c.error, notes), order_by=(c.rung, c.seed)).label("place")
    every = select(c.trial, c.rung, c.seed, c.error, notes.label("notes"), place)
    told = every.where(own, or_(c.error != "", c.notes.is_not(None))).subquery().c
    rows = select(told.trial, told.error, told.notes).where(told.place == 1)
    for trial, error, written in db.execute(rows.order_by(told.trial, told.rung, told.seed)):
        said = json.loads(written) if written else []
        expect(list, notes=said)
        found[trial] |= dict.fromkeys(text for text in (error, *said) if text)
    return found


def _mixed_weights(db: Connection, own: ColumnElement[bool]) -> dict[int, tuple[float, ...]]:
    c, other, learned = runs.c, runs.alias("other"), defaultdict(list)
    same_trial = and_(other.c.study_id == c.study_id, other.c.trial == c.trial, other.c.state == "complete")
    longest = select(func.max(other.c.n_steps)).where(same_trial).scalar_subquery()
    mixed = and_(c.state == "complete", c.mixed_weights.is_not(None), c.n_steps == longest)
    rows = select(c.trial, c.mixed_weights).where(own, mixed)
    for trial, weights in db.execute(rows.order_by(c.trial, c.rung, c.seed)):
        expect(list, mixed_weights=weights)
        learned[trial].append(weights)
    return {trial: tuple(fmean(column) for column in zip(*lists, strict=True)) for trial, lists in learned.items()}


def _median_overheads(study_id: str, own: ColumnElement[bool]) -> Select[int, float]:
    """Each trial's training time over that of the control `outputs`, the median over runs of equal rung and seed.

    SQLite has no median: it is the mean of the middle one or two ratios, which are numbered by size.
    """
    c, outputs = runs.c, runs.alias("outputs")
    number = select(func.min(trials.c.number)).where(trials.c.study_id == study_id, trials.c.control == "outputs")
    paired = and_(
        outputs.c.study_id == c.study_id, outputs.c.trial == number.scalar_subquery(), outputs.c.rung == c.rung,
        outputs.c.seed == c.seed, outputs.c.state == "complete", outputs.c.seconds > 0,
    )  # fmt: skip
    ratio = c.seconds / outputs.c.seconds
    place = func.row_number().over(partition_by=c.trial, order_by=ratio).label("place")
    n = func.count().over(partition_by=c.trial).label("n")
    complete = and_(own, c.state == "complete", c.seconds.is_not(None))
    shown = select(c.trial, ratio.label("ratio"), place, n).select_from(runs)
    ratios = shown.join(outputs, paired).where(complete).subquery().c
    middle = (2 * ratios.place).between(ratios.n, ratios.n + 2)
    return select(ratios.trial, func.avg(ratios.ratio)).where(middle).group_by(ratios.trial)
