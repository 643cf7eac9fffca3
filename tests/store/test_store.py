"""What goes into the store comes out again, on both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, event, select

from mapsearch.core.errors import StudyChanged, StudyNotFound
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run, RunPlan, RunResult
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial
from mapsearch.store.rows import result_json, run_of
from mapsearch.store.schema import attempts
from mapsearch.store.store import Store

RECIPE = Recipe(
    mapping=LayerMapping((Pair("blocks.0", "layers.1", 0.1 + 0.2), Pair("blocks.0", "layers.10", 1 / 3))),
    loss="cosine",
    feature_share=0.8,
    logit_weight=3.0,
    temperature=4.0,
)
TRIALS = [
    Trial(0, "control", Recipe(), control="none"),
    Trial(1, "curve", RECIPE, params={"width": 1 / 3, "loss": "cosine", "k": 2}, sampler_number=5),
    Trial(2, "free", RECIPE, state="complete", value=0.1 + 0.2),
]
RESULT = RunResult(
    key=(1, 0, 2**40),
    state="complete",
    metrics={"accuracy": 0.1 + 0.2, "loss": 1e-300},
    seconds=12.5,
    curve=((0, 2.3), (10, 1 / 3)),
    scales=(1.0, 0.5),
    norms=(0.7, 1 / 3),
    mixed_weights=(0.4, 0.6),
    gradient_shares=(0.25, 0.75),
    first_loss=2.3,
    notes=("pair `a <- b` has 0.0 % of the gradient",),
)


def plan(trial: int, rung: int = 0, seed: int = 0) -> RunPlan:
    return RunPlan(trial, RECIPE, rung, seed, stage="search", split="valid", n_steps=45)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every SQL statement sent within."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


# Studies


def test_a_study_comes_back_as_it_was_created(store: Store) -> None:
    study = store.study("digits")
    assert (study.name, study.state, study.folder, study.facts) == (
        "digits",
        "stopped",
        "/home/studies",
        {},
    )  # nobody holds it
    assert study.spec == {"name": "digits", "seed": 0}
    assert study.created_at.endswith("+00:00")
    assert (study.n_trials, study.n_runs, study.n_complete) == (0, 0, 0)


def test_a_study_survives_its_store(store: Store) -> None:
    with Store.open(store.url, create=False) as other:
        assert other.studies() == store.studies()


def test_the_same_spec_again_changes_only_where_it_lies(store: Store) -> None:
    store.set_state("digits", "complete")
    before = store.study("digits")
    store.create_study("digits", {"name": "digits", "seed": 0}, folder="/elsewhere", study_file="# other\n")
    after = store.study("digits")
    assert replace(after, folder=before.folder, updated_at=before.updated_at) == before
    assert after.folder == "/elsewhere"


def test_a_changed_study_file_lists_every_changed_key(store: Store) -> None:
    spec = {"name": "text", "train": {"lr": 0.002, "steps": 300}, "options": {}, "rungs": [0.1, 1.0]}
    other = {"name": "text", "train": {"lr": 0.01, "steps": 300}, "options": {"depth": 3}, "rungs": [0.2, 1.0]}
    store.create_study("text", spec, folder="", study_file="")
    with pytest.raises(StudyChanged, match="give this study file a new `name`, or restore the old values") as caught:
        store.create_study("text", other, folder="", study_file="")
    assert "`train.lr`: 0.002 -> 0.01, `options.depth`: unset -> 3, `rungs`: [0.1, 1.0] -> [0.2, 1.0];" in str(
        caught.value
    )
    assert "steps" not in str(caught.value)
    assert store.study("text").spec == spec


def test_studies_are_listed_newest_first(store: Store) -> None:
    for name in ("alpha", "zebra", "beta"):
        store.create_study(name, {}, folder="", study_file="")
    assert [study.name for study in store.studies()] == ["beta", "zebra", "alpha", "digits"]


def test_an_unknown_study_is_refused_with_close_matches(store: Store) -> None:
    with pytest.raises(StudyNotFound, match=r"no study `digist` in .*; did you mean `digits`"):
        store.study("digist")
    with pytest.raises(StudyNotFound, match=r"no study `xyz` in .*; the newest are digits"):
        store.trials("xyz")
    with pytest.raises(StudyNotFound, match="no study `xyz`"):
        store.set_state("xyz", "failed")


def test_an_empty_database_says_how_to_start_a_study(sqlite_url: str) -> None:
    with Store.open(sqlite_url) as store, pytest.raises(StudyNotFound, match=r"`mapsearch run STUDY\.yaml` starts one"):
        store.study("digits")


def test_state_and_facts(store: Store) -> None:
    store.record_facts("digits", noise={"seed_sd": 0.1 + 0.2, "flat": False}, finalists=[3, 1])
    store.record_facts("digits", finalists=[], name="a fact may have any name")
    store.set_state("digits", "stopped")
    study = store.study("digits")
    assert study.state == "stopped"
    assert study.facts == {
        "noise": {"seed_sd": 0.1 + 0.2, "flat": False},
        "finalists": [],
        "name": "a fact may have any name",
    }
    assert study.updated_at > study.created_at


def test_numbers_that_json_lacks_are_refused(store: Store) -> None:
    with pytest.raises(Exception, match="Out of range float values are not JSON compliant"):
        store.record_facts("digits", noise=float("nan"))
    assert store.study("digits").facts == {}


# Trials


def test_trials_come_back_equal_and_in_order(store: Store) -> None:
    store.add_trials("digits", TRIALS[1:])
    store.add_trials("digits", TRIALS[:1])
    store.add_trials("digits", [])
    assert store.trials("digits") == TRIALS
    assert store.study("digits").n_trials == 3


@settings(max_examples=20)
@given(weights=st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=6))
def test_a_recipe_comes_back_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, weights: list[float]) -> None:
    pairs = tuple(Pair("blocks.0", f"layers.{layer}", weight) for layer, weight in enumerate(weights))
    trial = Trial(0, "free", Recipe(mapping=LayerMapping(pairs), feature_share=0.5), value=weights[0])
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('recipe') / 'study.db'}") as store:
        store.create_study("digits", {}, folder="", study_file="")
        store.add_trials("digits", [trial])
        assert store.trials("digits") == [trial]


def test_a_finished_trial_waits_to_be_told(store: Store) -> None:
    store.add_trials("digits", TRIALS[:2])
    assert store.untold("digits") == []
    store.set_sampler_number("digits", 0, 7)
    store.finish_trial("digits", 0, "complete", 0.25)
    store.finish_trial("digits", 1, "infeasible", None)
    finished = store.untold("digits")
    assert [(t.number, t.sampler_number, t.state, t.value) for t in finished] == [
        (0, 7, "complete", 0.25),
        (1, 5, "infeasible", None),
    ]
    store.mark_told("digits", [0])
    assert store.untold("digits") == finished[1:]


# Runs


def test_planned_runs_wait_and_known_ones_stay(store: Store) -> None:
    store.plan_runs("digits", [plan(1), plan(0), plan(1)])
    store.start_runs("digits", [(1, 0, 0)], worker="w0")
    store.plan_runs("digits", [plan(1), plan(2, rung=2, seed=2**40)])
    assert store.runs("digits") == [
        Run(0, 0, 0, "search", "valid", 45, "waiting", 0, None, None),
        Run(1, 0, 0, "search", "valid", 45, "running", 1, None, None),
        Run(2, 2, 2**40, "search", "valid", 45, "waiting", 0, None, None),
    ]


def test_a_result_comes_back_equal(store: Store) -> None:
    store.plan_runs("digits", [plan(1, seed=2**40)])
    attempt = store.start_runs("digits", [RESULT.key], worker="w0")[RESULT.key]
    assert store.finish_run("digits", RESULT, attempt, RESULT.metrics["accuracy"])
    run = store.runs("digits")[0]
    assert run.result == RESULT
    assert (run.state, run.attempt, run.value) == ("complete", 1, 0.1 + 0.2)


def test_a_result_of_an_earlier_version_has_nothing_mixed() -> None:
    data = {key: value for key, value in result_json(RESULT).items() if key not in ("norms", "mixed_weights")}
    fields = Run(1, 0, 2**40, "search", "valid", 45, "complete", 1, 0.5, None)
    run = run_of({**asdict(fields), "result": data})
    assert run.result == replace(RESULT, norms=(), mixed_weights=())


def test_a_late_result_of_a_lost_attempt_is_refused(store: Store) -> None:
    key = (0, 0, 0)
    store.plan_runs("digits", [plan(0)])
    lost = store.start_runs("digits", [key], worker="w0")[key]
    assert store.release_runs("digits") == 1
    late = RunResult(key, "complete", {"accuracy": 0.9})
    assert not store.finish_run("digits", late, lost, 0.9)  # nobody runs it

    current = store.start_runs("digits", [key], worker="w1")[key]
    assert current == lost + 1
    assert not store.finish_run("digits", late, lost, 0.9)  # somebody else does
    assert store.runs("digits")[0].state == "running"

    crash = RunResult(key, "crashed", error="worker died", attempt=current)
    assert store.finish_run("digits", crash, current, None)
    assert not store.finish_run("digits", late, current, 0.9)  # and has finished
    assert store.runs("digits")[0].result == crash


def test_every_attempt_is_kept_with_its_worker_and_its_end(store: Store) -> None:
    key = (0, 0, 0)
    store.plan_runs("digits", [plan(0)])
    for worker in ("w0", "w1", "w2"):  # w0's is released, w1's is replaced
        store.start_runs("digits", [key], worker)
        if worker == "w0":
            store.release_runs("digits")
    store.finish_run("digits", RunResult(key, "oom", error="out of memory"), 3, None)
    engine = create_engine(store.url)
    with engine.connect() as connection:
        columns = select(attempts.c.attempt, attempts.c.worker, attempts.c.state, attempts.c.error)
        kept = [tuple(row) for row in connection.execute(columns.order_by(attempts.c.attempt))]
    engine.dispose()
    assert kept == [(1, "w0", "lost", ""), (2, "w1", "lost", ""), (3, "w2", "oom", "out of memory")]


def test_a_failed_run_can_be_started_again_but_not_a_complete_one(store: Store) -> None:
    store.plan_runs("digits", [plan(0), plan(1)])
    keys = [(0, 0, 0), (1, 0, 0)]
    store.start_runs("digits", keys, worker="w0")
    store.finish_run("digits", RunResult(keys[0], "crashed", error="killed"), 1, None)
    store.finish_run("digits", RunResult(keys[1], "complete", {"accuracy": 0.5}), 1, 0.5)
    assert store.start_runs("digits", keys[:1], worker="w1") == {keys[0]: 2}
    assert store.runs("digits")[0].result is None
    with pytest.raises(Exception, match="No row was found"):
        store.start_runs("digits", keys[1:], worker="w1")
    assert store.runs("digits")[1].value == 0.5


def test_counts_are_exact_per_study(store: Store) -> None:
    store.create_study("other", {}, folder="", study_file="")
    store.add_trials("digits", TRIALS)
    store.add_trials("other", TRIALS[:1])
    plans = [plan(trial, seed=seed) for trial in range(2) for seed in range(3)]
    store.plan_runs("digits", plans)
    store.plan_runs("other", plans[:1])
    store.start_runs("digits", [p.key for p in plans[:4]], worker="w0")
    for p in plans[:2]:
        store.finish_run("digits", RunResult(p.key, "complete"), 1, 0.5)
    store.finish_run("digits", RunResult(plans[2].key, "oom"), 1, None)
    counts = {s.name: (s.n_trials, s.n_runs, s.n_complete) for s in store.studies()}
    assert counts == {"digits": (3, 6, 2), "other": (1, 1, 0)}
    assert store.release_runs("digits") == 1
    assert store.release_runs("digits") == 0
    states = [run.state for run in store.runs("digits")]
    assert states == ["complete", "complete", "oom", "waiting", "waiting", "waiting"]


def test_crashed_runs_wait_again_when_asked(store: Store) -> None:
    plans = [plan(n) for n in range(2)]
    store.plan_runs("digits", plans)
    store.start_runs("digits", [p.key for p in plans], worker="w0")
    store.finish_run("digits", RunResult(plans[0].key, "crashed", error="no file"), 1, None)
    assert store.release_runs("digits", crashed=True) == 2
    assert {run.state for run in store.runs("digits")} == {"waiting"}
    assert store.start_runs("digits", [plans[0].key], worker="w1") == {plans[0].key: 2}


def test_ten_thousand_trials_are_listed_in_few_queries(sqlite_url: str) -> None:
    n = 10_000
    with Store.open(sqlite_url) as store:
        store.create_study("large", {}, folder="", study_file="")
        store.add_trials("large", [Trial(number, "curve", Recipe()) for number in range(n)])
        store.plan_runs("large", [plan(number) for number in range(n)])
        with statements() as sent:
            assert [(s.n_trials, s.n_runs) for s in store.studies()] == [(n, n)]
            assert len(store.trials("large")) == n
            assert len(store.runs("large")) == n
            store.plan_runs("large", [plan(number) for number in range(n)])
    assert len([statement for statement in sent if not statement.startswith("BEGIN")]) <= 8


def test_events_are_kept_in_order(store: Store) -> None:
    store.add_event("digits", "stage", "search begins")
    store.add_event("digits", "warning", "noise is large")
    assert [(kind, message) for _, kind, message in store.events("digits")] == [
        ("stage", "search begins"),
        ("warning", "noise is large"),
    ]
    times = [at for at, _, _ in store.events("digits")]
    assert times == sorted(times)


def test_a_run_with_numbers_that_are_not_finite_is_written_down(store: Store) -> None:
    store.plan_runs("digits", [plan(0)])
    attempt = store.start_runs("digits", [(0, 0, 0)], worker="w0")[(0, 0, 0)]
    nan = float("nan")
    result = RunResult((0, 0, 0), "diverged", first_loss=nan, scales=(nan, 1.0), error="term `task` is nan")
    assert store.finish_run("digits", result, attempt, None)
    (run,) = store.runs("digits")
    assert run.result == replace(result, first_loss=None, scales=(None, 1.0))  # type: ignore[arg-type]


def test_crashed_runs_of_a_stage_that_went_on_stay_as_they_were_judged(store: Store) -> None:
    plans = [plan(0), plan(1), replace(plan(2), stage="shortlist")]
    store.plan_runs("digits", plans)
    store.start_runs("digits", [p.key for p in plans], worker="w0")
    store.finish_run("digits", RunResult(plans[0].key, "complete"), 1, 0.5)
    for crashed in plans[1:]:
        store.finish_run("digits", RunResult(crashed.key, "crashed", error="no file"), 1, None)
    assert store.release_runs("digits", crashed=True) == 1
    assert [run.state for run in store.runs("digits")] == ["complete", "crashed", "waiting"]


def test_a_study_of_an_older_version_goes_on_when_new_keys_stand_at_their_defaults(store: Store) -> None:
    spec = StudySpec(name="old", task="task.py:T").to_json()
    store.create_study("old", {**spec, "similarity": {"measure": "cka", "samples": 2048}}, folder="", study_file="")
    store.create_study("old", spec, folder="there", study_file="")
    assert store.study("old").folder == "there"
    changed = {**spec, "similarity": {**spec["similarity"], "maps": "mean"}}
    with pytest.raises(StudyChanged, match=r'`similarity\.maps`: "flatten" -> "mean"'):
        store.create_study("old", changed, folder="there", study_file="")
