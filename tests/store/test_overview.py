"""What `show` reads: summed up in SQL as in Python, in few queries, and no row that is not shown; on both databases."""

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import fmean, median
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, make_url, text

from mapsearch.core.errors import DatabaseFailed, StoreError
from mapsearch.core.facts import StudyFacts
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.overheads import Overheads
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run, RunPlan, RunResult, Stage
from mapsearch.core.summaries import TrialSummary
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict
from mapsearch.store.handle import StudyHandle
from mapsearch.store.store import Store

SPEC = {"name": "large", "metric": "accuracy", "direction": "maximize", "train": {"steps": 20}}
MAPPING = LayerMapping((Pair("blocks.0", "layers.1", 0.3), Pair("blocks.0", "layers.10", 0.7)))
PLAIN, MIX = (Recipe(MAPPING, feature_share=0.5, aggregation=aggregation) for aggregation in ("sum", "mix"))
CONTROLS = ("none", "outputs", "uniform", "last")
CONFIRMED = (0, 1, 2, 5, 7)
FINISHED = ("complete", "diverged", "crashed")


def recipe(number: int) -> Recipe:
    return Recipe() if number < 2 else MIX if number % 5 == 2 else PLAIN


def trial(number: int) -> Trial:
    value = None if number % 6 == 5 else (number * 7 % 11) / 11
    if number < len(CONTROLS):
        return Trial(number, "control", recipe(number), control=CONTROLS[number], state="complete", value=value)
    state = "infeasible" if value is None else "complete"
    return Trial(number, "curve", recipe(number), params={"width": number / 7}, state=state, value=value)


def result(plan: RunPlan) -> RunResult:
    """One run in eleven diverged and all of trial 4, one in seven has a note, and some took no time at all."""
    n = 3 * plan.trial + plan.seed
    state = "diverged" if n % 11 == 10 or plan.trial == 4 else "complete"
    mixed = plan.recipe.aggregation == "mix" and state == "complete"
    return RunResult(
        plan.key,
        state,  # type: ignore[arg-type]
        {"accuracy": n / 97, "loss": math.inf if n % 10 == 3 else n / 50},
        seconds=0.0 if n % 13 == 12 else 1.0 + n % 7 / 3,
        curve=((0, 1.0), (1, 0.5)),
        mixed_weights=(n / 100, 1 - n / 100) if mixed else (),
        error="term `task` is nan" if state == "diverged" else "",
        notes=("a note", f"note {n % 2}") if n % 7 == 6 else (),
    )


def fill(study: StudyHandle, n_trials: int) -> None:
    """Trials with two finished runs each and one that waits; some are confirmed on three seeds of a longer rung."""
    listed = [trial(number) for number in range(n_trials)]
    study.add_trials(listed)
    plans = [plan(t, 0, seed, "search", 6) for t in listed for seed in range(3)]
    plans += [plan(t, 2, seed, "confirm", 20) for t in listed for seed in (12, 10, 11) if t.number in CONFIRMED]
    study.plan_runs(plans)
    begun = [plan for plan in plans if plan.seed != 2]
    study.start_runs(begun, "worker")
    for p in begun:
        ended = result(p)
        study.finish_run(ended, ended.metrics["accuracy"] if ended.state == "complete" else None)


def plan(trial: Trial, rung: int, seed: int, stage: Stage, n_steps: int) -> RunPlan:
    return RunPlan(trial.number, trial.recipe, rung, seed, stage, "valid", n_steps)


@pytest.fixture
def large(store: Store) -> Callable[[int], Store]:
    """`large(n)` -> the store with a study `large` of n trials."""

    def make(n_trials: int) -> Store:
        store.create_study("large", SPEC, folder="", study_file="")
        with store.control("large") as study:
            fill(study, n_trials)
        return store

    return make


@contextmanager
def queries() -> Iterator[dict[str, int]]:
    """Every query sent within, and how many rows it has: each is asked once more, for the number alone."""
    sent: dict[str, int] = {}

    def count(db: Connection, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT") and "count(*) FROM (" not in statement:
            [(n_rows,)] = db.exec_driver_sql(f"SELECT count(*) FROM ({statement}) AS asked", parameters).all()
            sent[statement] = sent.get(statement, 0) + n_rows

    event.listen(Engine, "after_cursor_execute", count)
    try:
        yield sent
    finally:
        event.remove(Engine, "after_cursor_execute", count)


def summed_up(trial: Trial, runs: list[Run]) -> TrialSummary:
    """The summary of a trial from all runs of the study with all of their results."""
    own = [run for run in runs if run.trial == trial.number and run.result]
    seconds = {run.key: run.result.seconds for run in runs if run.state == "complete" and run.result}
    pairs = [(seconds[run.key], seconds.get((1, run.rung, run.seed), 0)) for run in own if run.state == "complete"]
    ratios = [own_seconds / others for own_seconds, others in pairs if others > 0]
    confirmed = [run for run in own if run.stage == "confirm" and run.value is not None]
    complete = [run for run in own if run.state == "complete"]
    longest = [run for run in complete if run.n_steps == max(run.n_steps for run in complete)]
    learned = [run.result.mixed_weights for run in longest if run.result and run.result.mixed_weights]
    texts = [text for run in own if run.result for text in (run.result.error, *run.result.notes) if text]
    return TrialSummary(
        trial.number, trial.proposer, trial.control, trial.state, trial.value, trial.recipe.to_json(), trial.params,
        confirmed=tuple(run.value for run in confirmed),
        confirmed_seeds=tuple(run.seed for run in confirmed),
        confirmed_metrics={
            name: tuple(run.result.metrics[name] for run in confirmed) for name in ("accuracy", "loss") if confirmed
        },
        overhead=median(ratios) if ratios else None,
        overhead_measured=median(ratios) if ratios else None,
        warnings=tuple(dict.fromkeys(texts)),
        mixed_weights=tuple(fmean(column) for column in zip(*learned, strict=True)),
    )  # fmt: skip


def test_what_sql_sums_up_is_what_the_runs_say(large: Callable[[int], Store]) -> None:
    store = large(14)
    trials, runs = store.trials("large"), store.runs("large")
    page = store.page("large")
    assert page.trials == tuple(summed_up(trial, runs) for trial in trials)
    assert any(t.overhead is None for t in page.trials), "trial 4 has no run in common with `outputs`"
    assert {bool(t.mixed_weights) for t in page.trials} == {len(t.warnings) > 1 for t in page.trials} == {True, False}
    losses = [loss for t in page.trials for loss in t.confirmed_metrics.get("loss", ())]
    assert {loss is None for loss in losses} == {True, False}, "what JSON cannot hold is None"
    assert page.cost.device_seconds == pytest.approx(sum(run.result.seconds for run in runs if run.result))
    assert page.cost.n_steps == sum(run.n_steps for run in runs if run.state == "complete")
    states = [run.state for run in runs]
    assert (page.n_trials, page.n_runs, page.n_complete) == (14, len(runs), states.count("complete"))


def test_of_recipes_with_features_the_smoothed_overhead_is_shown_beside_the_measured_one(
    large: Callable[[int], Store],
) -> None:
    store = large(6)
    before = store.page("large").trials
    overheads = Overheads({"features": 0.25, "loss nmse linear sum": 0.125, "student blocks.0": 0.0})
    with store.control("large") as study:
        study.record_facts(replace(study.facts(), overheads=overheads))
    for old, new in zip(before, store.page("large").trials, strict=True):
        assert new.overhead_measured == old.overhead_measured
        smoothed = 1.5 if new.recipe["aggregation"] == "sum" else 1.25
        assert new.overhead == (smoothed if new.recipe["pairs"] else old.overhead)


def test_pages_are_parts_of_the_whole(large: Callable[[int], Store]) -> None:
    store = large(9)
    whole = store.page("large").trials
    assert store.page("large", after=3, limit=4).trials == whole[4:8]
    assert store.page("large", after=7).trials == whole[8:]
    assert store.page("large", after=8).trials == ()


def test_the_best_are_the_confirmed_proposals_then_the_best_values_then_the_controls(
    large: Callable[[int], Store],
) -> None:
    store = large(14)
    whole = store.page("large").trials
    proposals = [t for t in whole if not t.control and t.value is not None]
    ranked = sorted(proposals, key=lambda t: (not t.confirmed, -(t.value or 0), t.number))
    assert ranked[0].number == 7, "trial 5 is confirmed and has no value"
    assert store.best("large", 4).trials == (*ranked[:4], *whole[:4])


def test_a_study_without_trials_has_an_overview(store: Store) -> None:
    store.create_study("new", SPEC, folder="", study_file="")
    for study in (store.page("new"), store.best("new", 8)):
        assert (study.state, study.trials, study.cost.n_steps, study.verdict, study.teacher) == (
            "queued",
            (),
            0,
            None,
            {},
        )


def test_of_what_the_stages_found_the_verdict_and_the_teacher_are_read(store: Store) -> None:
    store.create_study("judged", SPEC, folder="", study_file="")
    verdict = Verdict("TIES none", 3, 0, None, (), ("a warning",))
    with store.control("judged") as study:
        study.record_facts(StudyFacts(teacher={"accuracy": 0.1 + 0.2, "loss": None}, verdict=verdict))
    page = store.page("judged")
    assert (page.verdict, page.teacher) == (verdict, {"accuracy": 0.1 + 0.2, "loss": None})


def test_a_page_has_few_queries_and_no_row_that_it_does_not_show(large: Callable[[int], Store]) -> None:
    store = large(60)
    with queries() as sent:
        page = store.page("large")
    told = {(run.trial, run.error, run.notes) for run in store.run_summaries("large") if run.error or run.notes}
    mixed = {trial.number for trial in page.trials if trial.mixed_weights}
    n_longest = sum(3 if number in CONFIRMED else 2 for number in mixed)
    n_confirmed = sum(len(trial.confirmed) for trial in page.trials)
    assert len(sent) <= 9
    of_results = [n for statement, n in sent.items() if "result" in statement]
    assert of_results == [n_confirmed], "but for the metrics on fresh seeds, what is shown stands in columns of its own"
    n_studies = 4  # its id, its name, its row, its cost
    assert sum(sent.values()) <= n_studies + 60 + 60 + len(told) + n_longest + n_confirmed


def test_the_queries_and_rows_of_the_best_do_not_grow_with_the_study(large: Callable[[int], Store]) -> None:
    store = large(12)
    with queries() as few:
        store.best("large", 4)
    store.create_study("larger", {**SPEC, "name": "larger"}, folder="", study_file="")
    with store.control("larger") as study:
        fill(study, 60)
    with queries() as many:
        store.best("larger", 4)
    assert len(few) == len(many) <= 10
    assert sum(many.values()) <= 4 + (4 + len(CONTROLS)) * 6, "of each trial itself, its overhead, and its runs"
    with queries() as listed:
        assert {study.name for study in store.studies()} == {"digits", "large", "larger"}
    assert list(listed.values()) == [3]


def test_sums_are_read_from_the_index_and_other_runs_are_looked_up_by_trial(large: Callable[[int], Store]) -> None:
    store = large(12)
    if make_url(store.url).get_backend_name() != "sqlite":
        pytest.skip("another planner has statistics, and says so otherwise")
    plans: list[str] = []

    def explain(db: Connection, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT") and "mapsearch_runs" in statement:
            plans.extend(row[3] for row in db.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters))

    event.listen(Engine, "after_cursor_execute", explain)
    try:
        store.page("large")
    finally:
        event.remove(Engine, "after_cursor_execute", explain)
    own = [step for step in plans if step.startswith(("SEARCH mapsearch_runs", "SCAN mapsearch_runs"))]
    others = [step for step in plans if step.startswith(("SEARCH other", "SEARCH outputs"))]
    assert len(others) == 2
    assert all("COVERING INDEX" in step and "trial=?" in step for step in others)
    without = [step for step in own if "COVERING INDEX" not in step]
    assert len(without) == 3, f"metrics on fresh seeds, warnings and mixed weights alone need whole rows: {own}"
    assert not any(step.startswith("SCAN mapsearch_runs") for step in own)


def test_settings_of_another_version_are_told_in_a_line_each(store: Store, rewrite: Callable[..., None]) -> None:
    rewrite(spec={"direction": "upwards", "train": {"epochs": 3}})
    for read in (lambda: store.page("digits"), lambda: store.best("digits", 8)):
        with pytest.raises(StoreError, match="`digits` was stored by another version") as caught:
            read()
        assert not isinstance(caught.value, DatabaseFailed), "the database is well"
        told = [problem.partition("settings, ")[2].partition(" must")[0] for problem in caught.value.problems]
        assert told == ["`metric`", "`direction`", "`train.steps`"]
    rewrite(spec=[])
    with pytest.raises(StoreError, match=r"`train\.steps` must be a whole number above zero, but got None"):
        store.page("digits")


def test_a_recipe_of_an_earlier_version_is_shown_whole(store: Store, rewrite: Callable[..., None]) -> None:
    rewrite(spec=SPEC)
    with store.control("digits") as study:
        study.add_trials([Trial(0, "curve", PLAIN, value=0.5)])
        old = {key: value for key, value in PLAIN.to_json().items() if key not in ("balance", "output_loss")}
        _write(store, "trials", "recipe", {**old, "logit_loss": "kl"})
        assert store.page("digits").trials[0].recipe == PLAIN.to_json()
        assert store.best("digits", 8).trials[0].recipe == PLAIN.to_json()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("studies", "facts", {"verdict": {"no": "verdict"}}),
        ("trials", "recipe", 7),
        ("trials", "recipe", {"no_such": 1}),
        ("trials", "params", []),
        ("runs", "notes", "text"),
        ("runs", "mixed_weights", {"a": 1}),
        ("runs", "mixed_weights", ["a"]),
    ],
)
def test_json_of_another_form_names_table_and_study(
    large: Callable[[int], Store], table: str, column: str, value: object
) -> None:
    store = large(6)
    _write(store, table, column, value)
    for read in (lambda: store.page("large"), lambda: store.best("large", 8)):
        with pytest.raises(DatabaseFailed, match=f"`large`.*`mapsearch_{table}`.*damaged"):
            read()


def _write(store: Store, table: str, column: str, value: object) -> None:
    with store._database.writing() as db:
        db.execute(text(f"UPDATE mapsearch_{table} SET {column} = :json"), {"json": json.dumps(value)})
