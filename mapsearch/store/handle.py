"""`StudyHandle`: the one writer of a study. Every write is a transaction or part of one, fenced by the lease."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from mapsearch.core.errors import StudyChanged
from mapsearch.core.facts import StudyFacts
from mapsearch.core.growth import forbidden_changes, has_grown
from mapsearch.core.runs import Run, RunKey, RunPlan, RunResult
from mapsearch.core.studies import Study, StudyState
from mapsearch.core.text import storable
from mapsearch.core.trials import Trial, TrialState
from mapsearch.store import copies, curves, run_rows
from mapsearch.store.database import Database
from mapsearch.store.reading import read_runs, read_study, read_trials
from mapsearch.store.renewal import HeldLease
from mapsearch.store.rows import now, trial_row
from mapsearch.store.schema import attempts, events, runs, studies, trials
from mapsearch.store.spool import Begun, Record


class StudyHandle:
    """The study as its controller holds it: `epoch` counts the controllers that it has had.

    Every method that writes raises `StudyBusy` when another process took over, and changes nothing
    then; every method raises `StoreError` if the database fails.
    """

    def __init__(self, database: Database, url: str, lease: HeldLease) -> None:
        self.id, self.name, self.epoch = lease.lease.study_id, lease.lease.study, lease.lease.epoch
        self.url = url
        self._database = database
        self._lease = lease
        self._execution: dict[str, Any] | None = None

    @property
    def stop_requested(self) -> bool:
        """Whether the study was asked to stop, as of the last write or renewal of the lease.

        Raises:
            StudyBusy: another process took over, as a renewal found.
        """
        return self._lease.stop_requested

    @contextmanager
    def in_one_transaction(self) -> Iterator[None]:
        """What is written in the `with` statement is written whole or not at all; no generator may pause inside it."""
        with self._lease.writing():
            yield

    def guarded(self) -> AbstractContextManager[None]:
        """Around what another library writes to the study database: the study must be ours before and after it."""
        return self._lease.guarding()

    # The study

    def study(self) -> Study:
        """The study as it stands."""
        with self._database.reading() as db:
            return read_study(db, self.id)

    def state(self) -> StudyState:
        """The state as it is stored; others see `queued` for `stopped` and `failed` while somebody has the study."""
        with self._database.reading() as db:
            state: StudyState = db.execute(select(studies.c.state).where(studies.c.id == self.id)).scalar_one()
        return state

    def facts(self) -> StudyFacts:
        """What its stages found so far."""
        return self.study().facts

    def update_spec(self, spec: dict[str, Any], *, folder: str, study_file: str) -> None:
        """Takes over the study file as it is now: a study may move and grow, and before its check become another.

        A complete study that grows is `queued` again. `study_file` is its text, empty where there is none.

        Raises:
            StudyChanged: a study that was checked would become another one (`growth.forbidden_changes`).
        """
        # slow to import, and those who only read never come here
        from mapsearch.core.study_file import with_defaults

        known = self.study()
        before, after = with_defaults(known.spec), json.loads(json.dumps(spec))
        changes = forbidden_changes(before, after)
        if changes and known.facts.is_checked:
            raise StudyChanged(
                f"study `{self.name}` is already in the database with other settings: {', '.join(changes)}; "
                "give the study a new `name`, or restore the old values"
            )
        self._execution = spec.get("execution")
        text = {"study_file": study_file} if study_file else {}
        state = {"state": "queued"} if known.state == "complete" and has_grown(before, after) else {}
        self._update_study(spec=spec, folder=folder, **text, **state)

    def expect_runs(self, n_expected: int) -> None:
        """Says how many runs the whole study will take, at most."""
        self._update_study(n_expected=n_expected)

    def set_state(self, state: StudyState) -> None:
        """Says how the study as a whole goes."""
        self._update_study(state=state)

    def record_facts(self, facts: StudyFacts) -> None:
        """Replaces what the stages found."""
        self._update_study(facts=facts.to_json(), sentence=facts.verdict.sentence if facts.verdict else None)

    def add_event(self, kind: str, message: str) -> None:
        """Notes that something happened, now."""
        with self._lease.writing() as db:
            db.execute(insert(events).values(study_id=self.id, at=now(), kind=kind, message=storable(message)))

    def rename(self, name: str) -> None:
        """Gives the study another name; this handle goes on with it, and so do studies that are to begin with it.

        Raises:
            StudyChanged: another study has it.
        """
        spec = {**self.study().spec, "name": name}
        try:
            with self._lease.writing() as db:
                db.execute(update(studies).where(studies.c.id == self.id).values(name=name, spec=spec))
                db.execute(update(studies).where(studies.c.port_of == self.name).values(port_of=name))
        except IntegrityError:
            raise StudyChanged(f"there is a study `{name}` already; choose another name") from None
        self.name = name

    def copy(self, name: str, created_at: str) -> None:
        """Adds a study of another name, created at that time, with all that this one holds.

        Raises:
            StudyChanged: another study has the name.
        """
        try:
            with self._lease.writing() as db:
                copies.copy_study(db, self.id, name, created_at)
        except IntegrityError:
            raise StudyChanged(f"there is a study `{name}` already; choose another name") from None

    def delete(self) -> None:
        """Removes the study with all its trials, runs, attempts and events; Optuna's record of it stays."""
        with self._lease.writing() as db:
            for table in (attempts, runs, trials, events):
                db.execute(delete(table).where(table.c.study_id == self.id))
            db.execute(delete(studies).where(studies.c.id == self.id))

    # Trials

    def add_trials(self, new: Sequence[Trial]) -> None:
        """Adds trials whose numbers are new to the study."""
        with self._lease.writing() as db:
            if new:
                db.execute(insert(trials), [trial_row(self.id, trial) for trial in new])

    def trials(self) -> list[Trial]:
        """Every trial, by number."""
        with self._database.reading() as db:
            return read_trials(db, self.id)

    def finish_trial(self, number: int, state: TrialState, value: float | None) -> None:
        """Records how the trial ended and its mean metric, if it has one."""
        self._update_trial(number, state=state, value=value)

    def untold(self) -> list[Trial]:
        """Finished trials that are not marked as told to the sampler, by number."""
        with self._database.reading() as db:
            return read_trials(db, self.id, trials.c.told.is_(False), trials.c.state != "waiting")

    def mark_told(self, sampler_numbers: Mapping[int, int | None]) -> None:
        """Records that the sampler knows how these trials ended: their numbers in the Optuna study, if it has them."""
        own = (trials.c.study_id == self.id) & (trials.c.number == bindparam("ours"))
        known = update(trials).where(own).values(told=True, sampler_number=bindparam("theirs"))
        with self._lease.writing() as db:
            if sampler_numbers:
                db.execute(known, [{"ours": ours, "theirs": theirs} for ours, theirs in sampler_numbers.items()])

    # Runs

    def plan_runs(self, plans: Sequence[RunPlan]) -> None:
        """Adds the runs that the study lacks, waiting; runs it knows stay as they are."""
        with self._lease.writing() as db:
            run_rows.plan(db, self.id, plans)

    def runs(self) -> list[Run]:
        """Every run, by trial, rung and seed."""
        with self._database.reading() as db:
            return read_runs(db, self.id)

    def start_runs(self, plans: Sequence[RunPlan], worker: str) -> None:
        """Records that a worker began with these attempts, and where; an earlier one still under way is lost.

        A late report changes nothing: of an attempt that is not newer than the run's, or of a run that is complete.
        """
        with self._lease.writing() as db:
            for plan in plans:
                run_rows.start(db, self.id, plan.key, plan.attempt, worker, self._execution)

    def finish_run(self, result: RunResult, value: float | None) -> bool:
        """Records how an attempt ended; `value` is the study's metric, if the run has one.

        A late result changes nothing and gives False: the run is under way in a later attempt, or
        no longer under way.
        """
        with self._lease.writing() as db:
            return run_rows.finish(db, self.id, result, value)

    def write_kept(self, records: Sequence[Record], since: str) -> str:
        """Writes what waited while the database was away, all or nothing, and an event that says so; gives its text.

        Written twice, it changes nothing. `since` says how the text begins.
        """
        with self._lease.writing() as db:
            n_ended, n_late = 0, 0
            for record in records:
                if isinstance(record, Begun):
                    run_rows.start(db, self.id, record.key, record.attempt, record.worker, self._execution)
                    continue
                n_ended += 1
                written = run_rows.finish(db, self.id, record.result, record.value)
                n_late += not (written or run_rows.has_ended(db, self.id, record.result))
            text = f"{since}: {n_ended - n_late} results kept meanwhile are written"
            text += f"; {n_late} came too late, their runs were begun anew elsewhere" if n_late else ""
            db.execute(insert(events).values(study_id=self.id, at=now(), kind="database", message=storable(text)))
        return text

    def release_runs(self) -> int:
        """Lets every run that is under way wait again, its attempt lost; gives how many there were."""
        with self._lease.writing() as db:
            return run_rows.release(db, self.id)

    def drop_curves(self) -> None:
        """Forgets the loss curves of all runs; what they came to stays."""
        with self._lease.writing() as db:
            curves.drop(db, self.id)

    def reopen_runs(self, keys: Sequence[RunKey], numbers: Collection[int]) -> int:
        """Lets runs that ended wait again, and with them the trials that they decide; gives how many runs there were.

        A trial that waits again will be told to the sampler anew.
        """
        with self._lease.writing() as db:
            for key in keys:
                run_rows.reopen(db, self.id, key)
            own = (trials.c.study_id == self.id) & trials.c.number.in_(numbers)
            waiting = {"state": "waiting", "value": None, "told": False, "sampler_number": None}
            db.execute(update(trials).where(own).values(**waiting))
        return len(keys)

    def _trial(self, number: int) -> ColumnElement[bool]:
        return (trials.c.study_id == self.id) & (trials.c.number == number)

    def _update_study(self, **values: Any) -> None:
        with self._lease.writing() as db:
            db.execute(update(studies).where(studies.c.id == self.id).values(**values))

    def _update_trial(self, number: int, **values: Any) -> None:
        with self._lease.writing() as db:
            changed = db.execute(update(trials).where(self._trial(number)).values(**values)).rowcount
            assert changed == 1, f"study `{self.name}` has no trial {number}"
