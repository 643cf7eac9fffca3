"""`Store` owns the engine of the study database: nouns in, nouns out, one transaction per call."""

import json
from collections.abc import Sequence
from typing import Any, Self
from uuid import uuid4

from sqlalchemy import ColumnElement, Connection, Engine, Select, Table, and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from mapsearch.core.errors import StudyChanged
from mapsearch.core.growth import forbidden_changes
from mapsearch.core.runs import Run, RunKey, RunPlan, RunResult
from mapsearch.core.studies import Study, StudyState
from mapsearch.core.trials import Trial, TrialState
from mapsearch.store.connect import connect
from mapsearch.store.database import Database
from mapsearch.store.lease import drop_lease, is_held, renew_lease, take_lease, this_process
from mapsearch.store.rows import now, result_json, run_of, run_row, study_of, trial_of, trial_row
from mapsearch.store.schema import attempts, events, runs, studies, trials


class Store:
    """The study database at `url`; close it, or use it in a `with` statement.

    One process per study writes: the one that holds its lease. Every method that names a study
    raises `StudyNotFound` if there is none, and `StoreError` if the database fails.
    """

    def __init__(self, engine: Engine, url: str) -> None:
        self.url = url
        self._database = Database(engine)
        self._holder = this_process()

    @classmethod
    def open(cls, url: str, *, create: bool = True) -> Self:
        """The database at that SQLAlchemy URL, brought to this version's form; made if `create` and missing.

        Raises:
            StoreError: the URL or the database cannot be used, or a newer mapsearch wrote it.
        """
        return cls(connect(url, create=create), url)

    def close(self) -> None:
        """Closes every connection; a lease stays until it is released or expires."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Studies

    def create_study(self, name: str, spec: dict[str, Any], *, folder: str, study_file: str) -> None:
        """A new study in state `running`; if it is there, its folder and what of its spec may change are updated.

        `folder` is where its task lies, `study_file` the text of the file as it was written.

        Raises:
            StudyChanged: the study is there and would become another one (`growth.forbidden_changes`).
        """
        row = {"name": name, "spec": spec, "folder": folder, "study_file": study_file, "state": "running", "facts": {}}
        try:
            with self._database.writing() as db:
                db.execute(insert(studies).values(**row, id=uuid4().hex, created_at=now(), updated_at=now()))
        except IntegrityError:
            # slow to import, and those who only read never come here
            from mapsearch.core.study_file import with_defaults

            changes = forbidden_changes(with_defaults(self.study(name).spec), json.loads(json.dumps(spec)))
            if changes:
                raise StudyChanged(
                    f"study `{name}` is in the database with other settings: {', '.join(changes)}; "
                    "give this study file a new `name`, or restore the old values"
                ) from None
            with self._database.writing_to(name) as (db, study_id):
                db.execute(update(studies).where(studies.c.id == study_id).values(folder=folder, spec=spec))

    def study(self, name: str) -> Study:
        """The study of that name.

        Raises:
            StudyNotFound: there is none; close matches and known names are given.
        """
        with self._database.reading() as db:
            row = db.execute(_studies().where(studies.c.name == name)).mappings().one_or_none()
            if row is None:
                raise self._database.not_found(db, name)
            return study_of(row, held=is_held(row))

    def studies(self) -> list[Study]:
        """Every study, newest first."""
        with self._database.reading() as db:
            order = (studies.c.created_at.desc(), studies.c.name)
            return [study_of(row, held=is_held(row)) for row in db.execute(_studies().order_by(*order)).mappings()]

    def set_state(self, name: str, state: StudyState) -> None:
        """Says how the study as a whole goes."""
        with self._database.writing_to(name) as (db, study_id):
            db.execute(update(studies).where(studies.c.id == study_id).values(state=state))

    def record_facts(self, name: str, /, **facts: Any) -> None:
        """Adds what a stage found, as plain data; a fact of the same name is replaced."""
        with self._database.writing_to(name) as (db, study_id):
            this = studies.c.id == study_id
            known = db.execute(select(studies.c.facts).where(this)).scalar_one()
            db.execute(update(studies).where(this).values(facts={**known, **facts}))

    # Trials

    def add_trials(self, name: str, new: Sequence[Trial]) -> None:
        """Adds trials whose numbers are new to the study."""
        with self._database.writing_to(name) as (db, study_id):
            if new:
                db.execute(insert(trials), [trial_row(study_id, trial) for trial in new])

    def trials(self, name: str) -> list[Trial]:
        """Every trial of the study, by number."""
        return self._trials(name)

    def set_sampler_number(self, name: str, number: int, sampler_number: int) -> None:
        """Links a trial to its number in the Optuna study."""
        self._update_trial(name, number, sampler_number=sampler_number)

    def finish_trial(self, name: str, number: int, state: TrialState, value: float | None) -> None:
        """Records how the trial ended and its mean metric, if it has one."""
        self._update_trial(name, number, state=state, value=value)

    def untold(self, name: str) -> list[Trial]:
        """Finished trials that are not marked as told to the sampler, by number."""
        return self._trials(name, trials.c.told.is_(False), trials.c.state != "waiting")

    def mark_told(self, name: str, numbers: Sequence[int]) -> None:
        """Records that the sampler knows how these trials ended."""
        with self._database.writing_to(name) as (db, study_id):
            for number in numbers:
                db.execute(update(trials).where(_row(trials, study_id, number)).values(told=True))

    # Runs

    def plan_runs(self, name: str, plans: Sequence[RunPlan]) -> None:
        """Adds the runs that the study lacks, waiting; runs it knows stay as they are."""
        with self._database.writing_to(name) as (db, study_id):
            keys = select(runs.c.trial, runs.c.rung, runs.c.seed).where(runs.c.study_id == study_id)
            known = {tuple(row) for row in db.execute(keys)}
            new = {plan.key: run_row(study_id, plan) for plan in plans if plan.key not in known}
            if new:
                db.execute(insert(runs), list(new.values()))

    def runs(self, name: str) -> list[Run]:
        """Every run of the study, by trial, rung and seed."""
        with self._database.reading() as db:
            rows = select(runs).where(runs.c.study_id == self._database.id_of(db, name))
            ordered = rows.order_by(runs.c.trial, runs.c.rung, runs.c.seed)
            return [run_of(row) for row in db.execute(ordered).mappings()]

    def start_runs(self, name: str, keys: Sequence[RunKey], worker: str) -> dict[RunKey, int]:
        """Begins a new attempt of each run and gives its number; an attempt still under way is lost."""
        with self._database.writing_to(name) as (db, study_id):
            return {key: _start(db, study_id, key, worker) for key in keys}

    def finish_run(self, name: str, result: RunResult, attempt: int, value: float | None) -> bool:
        """Records how an attempt ended; `value` is the study's metric, if the run has one.

        A late result changes nothing and gives False: the run is under way in a later attempt, or
        no longer under way.
        """
        with self._database.writing_to(name) as (db, study_id):
            current = _row(runs, study_id, *result.key) & (runs.c.attempt == attempt) & (runs.c.state == "running")
            data = result_json(result)
            finished = update(runs).where(current).values(state=result.state, value=value, result=data)
            if db.execute(finished).rowcount == 0:
                return False
            ended = update(attempts).where(_row(attempts, study_id, *result.key, attempt))
            db.execute(ended.values(state=result.state, finished_at=now(), error=result.error))
            return True

    def release_runs(self, name: str, *, crashed: bool = False) -> int:
        """Lets every run that is under way wait again, its attempt lost; gives how many there were.

        `crashed` lets the crashed runs of a stage wait again in which no run has come through: the stage
        that ended the study, whose cause was put right. Stages that are closed stay as they were judged.
        """
        with self._database.writing_to(name) as (db, study_id):
            own = runs.c.study_id == study_id
            these = own & (runs.c.state == "running")
            if crashed:
                closed = select(runs.c.stage).where(own, runs.c.state == "complete")
                these = these | (own & (runs.c.state == "crashed") & runs.c.stage.not_in(closed))
            released = db.execute(update(runs).where(these).values(state="waiting")).rowcount
            _lose(db, (attempts.c.study_id == study_id))
            return released

    # Events and the controller's lease

    def add_event(self, name: str, kind: str, message: str) -> None:
        """Notes that something happened, now."""
        with self._database.writing_to(name) as (db, study_id):
            db.execute(insert(events).values(study_id=study_id, at=now(), kind=kind, message=message))

    def events(self, name: str) -> list[tuple[str, str, str]]:
        """(UTC time, kind, message) of every event, oldest first."""
        with self._database.reading() as db:
            rows = select(events.c.at, events.c.kind, events.c.message)
            ordered = rows.where(events.c.study_id == self._database.id_of(db, name)).order_by(events.c.id)
            return [(at, kind, message) for at, kind, message in db.execute(ordered)]

    def acquire(self, name: str, seconds: float = 60.0) -> None:
        """Makes this store the study's controller for so many seconds.

        A lease that has expired, or whose process on this host is dead, is taken over.

        Raises:
            StudyBusy: another process is the controller; says which and until when.
        """
        with self._database.writing_to(name) as (db, study_id):
            take_lease(db, study_id, self._holder, seconds)

    def renew(self, name: str, seconds: float = 60.0) -> None:
        """Stays the controller for so many seconds from now.

        Raises:
            StudyBusy: the lease is no longer this store's.
        """
        with self._database.writing_to(name) as (db, study_id):
            renew_lease(db, study_id, self._holder, seconds)

    def release(self, name: str) -> None:
        """Lets others become the controller; nothing happens if this store is not."""
        with self._database.writing_to(name) as (db, study_id):
            drop_lease(db, study_id, self._holder)

    def _trials(self, name: str, *conditions: ColumnElement[bool]) -> list[Trial]:
        with self._database.reading() as db:
            rows = select(trials).where(trials.c.study_id == self._database.id_of(db, name), *conditions)
            return [trial_of(row) for row in db.execute(rows.order_by(trials.c.number)).mappings()]

    def _update_trial(self, name: str, number: int, **values: Any) -> None:
        with self._database.writing_to(name) as (db, study_id):
            changed = db.execute(update(trials).where(_row(trials, study_id, number)).values(**values)).rowcount
            assert changed == 1, f"study `{name}` has no trial {number}"


def _studies() -> Select[Any]:
    def count(table: Any, *conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return select(func.count()).where(table.c.study_id == studies.c.id, *conditions).scalar_subquery()

    return select(
        studies,
        count(trials).label("n_trials"),
        count(runs).label("n_runs"),
        count(runs, runs.c.state == "complete").label("n_complete"),
    )


def _start(db: Connection, study_id: str, key: RunKey, worker: str) -> int:
    # A complete run is never begun again: its result would be gone.
    this = _row(runs, study_id, *key) & (runs.c.state != "complete")
    begun = update(runs).where(this).values(state="running", attempt=runs.c.attempt + 1, value=None, result=None)
    attempt = db.execute(begun.returning(runs.c.attempt)).scalar_one()
    _lose(db, _row(attempts, study_id, *key))
    fields = dict(zip(("study_id", "trial", "rung", "seed", "attempt"), (study_id, *key, attempt), strict=True))
    db.execute(insert(attempts).values(**fields, worker=worker, state="running", started_at=now(), error=""))
    return int(attempt)


def _lose(db: Connection, whose: ColumnElement[bool]) -> None:
    lost = whose & (attempts.c.state == "running")
    db.execute(update(attempts).where(lost).values(state="lost", finished_at=now()))


def _row(table: Table, *key: object) -> ColumnElement[bool]:
    # All rows whose primary key begins like this: one row for a whole key.
    return and_(*(column == value for column, value in zip(table.primary_key.columns, key, strict=False)))
