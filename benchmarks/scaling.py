"""What the controller costs per proposal and per result beside ever more trials: the real loop, with instant students.

python -m benchmarks.scaling [--trials 100 1000 5000] [--window 40] [--workers 8] [--storage URL] [--quick]

Loop, store, sampler and Optuna's record are the product's own; only students are replaced, by results that are there
at once. Writes recorded/scaling-DATE.md and .json, unless quick.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import torch
from sqlalchemy import MetaData, create_engine, insert, select, update

import mapsearch
from benchmarks.read_models import CURVE
from benchmarks.recording import report_on_database
from mapsearch.controller import proposals
from mapsearch.controller.context import StudyContext
from mapsearch.controller.interrupt import Interrupt
from mapsearch.core.facts import Network, StudyFacts
from mapsearch.core.layers import Layer
from mapsearch.core.outputs import CLASS_SCORES
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Cohort, RunPlan, RunResult
from mapsearch.core.search_problem import SearchProblem
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.study_file import stored_study
from mapsearch.core.trials import Trial
from mapsearch.executors.base import Executor, Ready, WorkerMessage
from mapsearch.executors.scheduler import Scheduler
from mapsearch.proposers.model_search import EVEN_PAIR
from mapsearch.proposers.optuna_record import OptunaRecord, create_tables
from mapsearch.proposers.random_search import propose_random
from mapsearch.search import proposal_plans
from mapsearch.store.handle import StudyHandle
from mapsearch.store.rows import result_columns, run_row, trial_row
from mapsearch.store.schema import runs, trials
from mapsearch.store.spool import Spool
from mapsearch.store.store import Store

OUTPUTS = Recipe(output_weight=1.0, temperature=2.0)
N_STUDENT, N_TEACHER = 6, 12
LAYERS: Mapping[Network, tuple[Layer, ...]] = {
    "student": tuple(Layer(f"s.{i}", "B", "vector", (64,), 1) for i in range(N_STUDENT)),
    "teacher": tuple(Layer(f"t.{i}", "B", "vector", (64,), 1) for i in range(N_TEACHER)),
}
WORKERS_PER_CORE_MINUTE = 60.0
"""Seconds of a trial at which the workers that one controller can feed are told."""
SHARE_OF_A_CORE = 0.5


class InstantExecutor:
    """Each poll ends the cohort of one worker: the one that waits longest."""

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers
        self._messages: list[tuple[int, WorkerMessage]] = []
        self._held: dict[int, Cohort] = {}

    def start(self, slot: int) -> str:
        self._messages.append((slot, Ready()))
        return f"worker {slot}"

    def send(self, slot: int, cohort: Cohort) -> None:
        self._held[slot] = cohort

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerMessage]]:
        if self._held:
            slot = next(iter(self._held))
            self._messages += [(slot, _result(plan)) for plan in self._held.pop(slot)]
            self._messages.append((slot, Ready()))
        messages, self._messages = self._messages, []
        return messages

    def stop(self, slot: int) -> None:
        self._held.pop(slot, None)

    def close(self) -> None:
        self._held.clear()


def _value(trial: int, seed: int) -> float:
    return (trial * 7919 + seed * 104729) % 997 / 997


def _result(plan: RunPlan) -> RunResult:
    metrics = {"accuracy": _value(plan.trial, plan.seed), "loss": 1.0}
    shares = (0.05,) * len(plan.recipe.feature_terms)
    return RunResult(
        plan.key, "complete", metrics, 1.0, CURVE, scales=shares, gradient_shares=shares, first_loss=1.0,
        attempt=plan.attempt,
    )  # fmt: skip


def problem() -> tuple[RecipeSpace, Similarity]:
    """Six student and twelve teacher layers, and a similarity that tells something."""
    space = RecipeSpace(LAYERS["student"], LAYERS["teacher"])
    rows = tuple(tuple(1 / (1 + abs(2 * s - t)) for t in range(N_TEACHER)) for s in range(N_STUDENT))
    return space, Similarity(space.student_layers, space.teacher_layers, rows, 0.05, "cka", 64, "")


def spec_of(name: str, n_trials: int) -> StudySpec:
    """A study of so many proposals."""
    search = {"trials": n_trials, "batch": 4}
    return stored_study({"name": name, "task": "task.py:Task", "metric": "accuracy", "search": search})


def fill(study: StudyHandle, spec: StudySpec, n_trials: int) -> None:
    """So many finished proposals with a run each, in our tables and in Optuna's."""
    space, similarity = problem()
    given = SearchProblem(space, spec.space, tuple(map(tuple, similarity.z())), OUTPUTS, spec.direction, spec.seed)
    listed: list[Trial] = []
    for number in range(n_trials):
        drawn = propose_random(given, listed[-50:], number)
        params = dict(drawn.params) if number else EVEN_PAIR._asdict()  # among the first of every search
        listed.append(Trial(number, drawn.origin, drawn.recipe, "", params, number, "complete", _value(number, 0)))
    planned = proposal_plans(spec, listed)
    engine = create_engine(study.url, json_serializer=json.dumps)
    with engine.begin() as db:
        if listed:
            db.execute(insert(trials), [{**trial_row(study.id, t), "told": True} for t in listed])
            ended = {"state": "complete", "attempt": 1}
            db.execute(
                insert(runs),
                [
                    {**run_row(study.id, p), **ended, "value": _value(p.trial, 0), **result_columns(_result(p))}
                    for p in planned
                ],
            )
    engine.dispose()
    if listed:
        _fill_optuna(study, spec, listed)


def _fill_optuna(study: StudyHandle, spec: StudySpec, listed: list[Trial]) -> None:
    """Optuna's rows of the even pair for all of them: no proposal has more parameters, and more is not read of them."""
    created = study.study().created_at
    record = OptunaRecord(study.url, spec.name, spec.metric, spec.direction, created, spec.space, study.guarded)
    with closing(record):
        record.add(listed[:1])
    engine, theirs = create_engine(study.url), MetaData()
    theirs.reflect(engine, only=["trials", "trial_params", "trial_values", "trial_user_attributes", "studies"])
    tables = theirs.tables
    with engine.begin() as db:
        known = tables["studies"].c
        study_id = db.scalar(select(known.study_id).where(known.study_name == spec.name))
        table, own = tables["trials"], tables["trials"].c.study_id == study_id
        first = db.execute(select(table).where(own)).mappings().one()
        copied = {name: value for name, value in first.items() if name != "trial_id"}  # the database counts its rows
        if listed[1:]:
            db.execute(insert(table), [{**copied, "number": n} for n in range(1, len(listed))])
        ids = db.scalars(select(table.c.trial_id).where(own).order_by(table.c.number)).all()[1:]
        for name in ("trial_params", "trial_values", "trial_user_attributes"):
            table = tables[name]
            (key,) = table.primary_key.columns
            rows = db.execute(select(table).where(table.c.trial_id == first["trial_id"])).mappings().all()
            copies = [{k: v for k, v in row.items() if k != key.name} | {"trial_id": i} for i in ids for row in rows]
            if copies:
                db.execute(insert(table), copies)
        if name == "trial_user_attributes":
            attributes = tables[name].c
            for n, i in enumerate(ids, 1):
                this = (attributes.trial_id == i) & (attributes.key == "trial")
                db.execute(update(tables[name]).where(this).values(value_json=str(n)))
    engine.dispose()


class Clocks:
    """CPU seconds by what they were spent on, measured around the functions that do it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.first: dict[str, float] = {}

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its CPU time added to `name`."""

        def timed(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            self.first.setdefault(name, began)
            try:
                return function(*arguments, **named)
            finally:
                self.seconds[name] += time.process_time() - began
                self.calls[name] += 1

        return timed


@contextmanager
def searching(url: str, spec: StudySpec, n_trials: int, executor: Executor) -> Iterator[StudyContext]:
    """A new study that has so many finished trials and is about to search on, with the executor's workers."""
    space, similarity = problem()
    with Store.open(url, create_more=create_tables) as store, tempfile.TemporaryDirectory() as folder:
        store.create_study(spec.name, spec.to_json(), folder="", study_file="")
        with store.control(spec.name) as study:
            versions = {"mapsearch": mapsearch.__version__, "torch": torch.__version__}
            study.record_facts(StudyFacts(environment=versions, layers=LAYERS, similarity=similarity))
            fill(study, spec, n_trials)
            scheduler, spool = Scheduler(executor, spec.execution), Spool(Path(folder) / "spool")
            yield StudyContext(study, spec, space, similarity, CLASS_SCORES, scheduler, Interrupt(), spool)


def measure(url: str, n_trials: int, n_window: int, n_workers: int) -> dict[str, float]:
    """CPU milliseconds of the loop over the window of trials that follow so many, in a study of their own."""
    clocks = Clocks()
    spec = spec_of(f"scaling-{n_trials}-{n_workers}", n_trials + n_window)
    originals = dict(proposals.PROPOSERS), OptunaRecord.add
    with searching(url, spec, n_trials, InstantExecutor(n_workers)) as context:
        proposals.PROPOSERS["model"] = clocks.around("proposal", proposals.PROPOSERS["model"])  # type: ignore[index]
        OptunaRecord.add = clocks.around("record", OptunaRecord.add)  # type: ignore[method-assign]
        try:
            began = time.process_time()
            n = sum(isinstance(item, Trial) for item in proposals.try_proposals(context, OUTPUTS))
            ended = time.process_time()
        finally:
            proposals.PROPOSERS["model"] = originals[0]["model"]  # type: ignore[index]
            OptunaRecord.add = originals[1]  # type: ignore[method-assign]
    total = ended - clocks.first["proposal"]
    proposal, record = clocks.seconds["proposal"], clocks.seconds["record"]
    return {
        "n_trials": n_trials,
        "n_measured": n,
        "resume_seconds": clocks.first["proposal"] - began,
        "proposal_ms": 1000 * proposal / n,
        "record_ms": 1000 * record / n,
        "result_ms": 1000 * (total - proposal - record) / n,
        "trial_ms": 1000 * total / n,
    }


def page(numbers: dict[str, Any], date: str) -> str:
    """The record as Markdown."""
    rows = [
        f"| {row['n_trials']:,} | {row['resume_seconds']:.1f} | {row['proposal_ms']:.0f} | {row['record_ms']:.0f} | "
        f"{row['result_ms']:.0f} | {row['trial_ms']:.0f} | "
        f"{SHARE_OF_A_CORE * 1000 * WORKERS_PER_CORE_MINUTE / row['trial_ms']:.0f} |"
        for row in numbers["rows"]
    ]
    return "\n".join(
        [
            f"# Controller, {numbers['database']}, {date}",
            "",
            f"`python -m benchmarks.scaling`: real loop, store, sampler and Optuna record, instant students on "
            f"{numbers['n_workers']} workers, {numbers['rows'][0]['n_measured']} trials of one run each after so many; "
            f"{N_STUDENT} x {N_TEACHER} layers. Python {numbers['python']}, {numbers['machine']}.",
            "Process CPU time. Resume: from the start of the search to the first proposal. A trial: all that the "
            "controller does for one, the sum of the three before it. Workers: as many as one controller feeds with "
            "half of a core when a trial takes a minute.",
            "",
            "| trials before | resume, s | proposal, ms | Optuna's record, ms | result, ms | a trial, ms | workers |",
            "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *rows,
        ]
    )


def main() -> None:
    """Measure beside every number of trials, print the page and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 1000, 5000])
    parser.add_argument("--window", type=int, default=40, help="trials that are measured")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--storage", help="URL of an empty database; a SQLite file in a temporary folder by default")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 12 trials, nothing recorded")
    options = parser.parse_args()
    sizes, window = ([12], 6) if options.quick else (options.trials, options.window)
    with tempfile.TemporaryDirectory() as folder:
        url = options.storage or f"sqlite:///{Path(folder) / 'study.db'}"
        rows = [measure(url, n, window, options.workers) for n in sizes]
    measured = {"n_workers": options.workers, "rows": rows}
    report_on_database("scaling", url, measured, page, is_recorded=not options.quick)


if __name__ == "__main__":
    main()
