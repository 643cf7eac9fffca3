"""What a controller writes comes out again, on both databases; once another took over, it writes nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, delete, event, select

from mapsearch.core.errors import StudyBusy, StudyChanged, StudyNotFound
from mapsearch.core.facts import StudyFacts
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run, RunPlan, RunResult
from mapsearch.core.similarity import Similarity
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict
from mapsearch.store.handle import StudyHandle
from mapsearch.store.rows import result_json, run_of
from mapsearch.store.schema import attempts, studies
from mapsearch.store.spool import Begun, Ended
from mapsearch.store.store import Store

CHECKED = StudyFacts(similarity=Similarity(("s.0",), ("t.0",), ((0.9,),), 0.1, "cka", 64, "rows"))
RECIPE = Recipe(
    mapping=LayerMapping((Pair("blocks.0", "layers.1", 0.1 + 0.2), Pair("blocks.0", "layers.10", 1 / 3))),
    loss="cosine",
    feature_share=0.8,
    output_weight=3.0,
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
    terms=("task", "b <- a"),
    term_curve=((10, (1.5, 0.25)), (20, (1.25, 0.125))),
    notes=("pair `a <- b` has 0.0 % of the gradient",),
)


def plan(trial: int, rung: int = 0, seed: int = 0, attempt: int = 1) -> RunPlan:
    return RunPlan(trial, RECIPE, rung, seed, stage="search", split="valid", n_steps=45, attempt=attempt)


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


def test_state_and_facts(study: StudyHandle) -> None:
    assert study.facts() == StudyFacts()
    found = replace(CHECKED, finalists=(3, 1), verdict=Verdict("BEATS none", 3, None, None, ()))
    study.record_facts(found)
    study.set_state("stopped")
    study.expect_runs(156)
    after = study.study()
    assert (study.state(), after.facts, after.n_expected) == ("stopped", found, 156)
    assert after.updated_at > after.created_at


def test_numbers_that_json_lacks_are_refused(study: StudyHandle) -> None:
    with pytest.raises(Exception, match="Out of range float values are not JSON compliant"):
        study.record_facts(StudyFacts(teacher={"accuracy": float("nan")}))
    assert study.facts() == StudyFacts()


def test_trials_come_back_equal_and_in_order(study: StudyHandle) -> None:
    study.add_trials(TRIALS[1:])
    study.add_trials(TRIALS[:1])
    study.add_trials([])
    assert study.trials() == TRIALS
    assert study.study().n_trials == 3


@settings(max_examples=20)
@given(weights=st.lists(st.floats(1e-9, 1e9), min_size=1, max_size=6))
def test_a_recipe_comes_back_to_the_last_bit(tmp_path_factory: pytest.TempPathFactory, weights: list[float]) -> None:
    pairs = tuple(Pair("blocks.0", f"layers.{layer}", weight) for layer, weight in enumerate(weights))
    trial = Trial(0, "free", Recipe(mapping=LayerMapping(pairs), feature_share=0.5), value=weights[0])
    with Store.open(f"sqlite:///{tmp_path_factory.mktemp('recipe') / 'study.db'}") as store:
        store.create_study("digits", {}, folder="", study_file="")
        with store.control("digits") as study:
            study.add_trials([trial])
            assert study.trials() == [trial]


def test_a_finished_trial_waits_to_be_told(study: StudyHandle) -> None:
    study.add_trials(TRIALS[:2])
    assert study.untold() == []
    study.finish_trial(0, "complete", 0.25)
    study.finish_trial(1, "infeasible", None)
    finished = study.untold()
    assert [(t.number, t.state, t.value) for t in finished] == [(0, "complete", 0.25), (1, "infeasible", None)]
    study.mark_told({0: 7})
    assert study.untold() == finished[1:]
    study.mark_told({1: None})
    assert study.untold() == []
    assert [t.sampler_number for t in study.trials()] == [7, None]


def test_planned_runs_wait_and_known_ones_stay(study: StudyHandle) -> None:
    study.plan_runs([plan(1), plan(0), plan(1)])
    study.start_runs([plan(1)], worker="w0")
    study.plan_runs([plan(1), plan(2, rung=2, seed=2**40)])
    assert study.runs() == [
        Run(0, 0, 0, "search", "valid", 45, "waiting", 0, None, None),
        Run(1, 0, 0, "search", "valid", 45, "running", 1, None, None),
        Run(2, 2, 2**40, "search", "valid", 45, "waiting", 0, None, None),
    ]


def test_a_result_comes_back_equal(study: StudyHandle) -> None:
    study.plan_runs([plan(1, seed=2**40)])
    study.start_runs([plan(1, seed=2**40)], worker="w0")
    assert study.finish_run(RESULT, RESULT.metrics["accuracy"])
    run = study.runs()[0]
    assert run.result == RESULT
    assert (run.state, run.attempt, run.value) == ("complete", 1, 0.1 + 0.2)


def test_a_late_result_of_a_lost_attempt_is_refused(study: StudyHandle) -> None:
    study.plan_runs([plan(0)])
    study.start_runs([plan(0)], worker="w0")
    assert study.release_runs() == 1
    late = RunResult((0, 0, 0), "complete", {"accuracy": 0.9}, attempt=1)
    assert not study.finish_run(late, 0.9)  # nobody runs it

    study.start_runs([plan(0, attempt=2)], worker="w1")
    assert not study.finish_run(late, 0.9)  # somebody else does
    assert study.runs()[0].state == "running"

    crash = RunResult((0, 0, 0), "crashed", error="worker died", attempt=2)
    assert study.finish_run(crash, None)
    assert not study.finish_run(late, 0.9)  # and has finished
    assert study.runs()[0].result == crash


def test_what_waited_for_the_database_is_written_once_and_told_of(store: Store, study: StudyHandle) -> None:
    study.plan_runs([plan(0), plan(1), plan(2)])
    study.start_runs([plan(0)], worker="w0")
    begun = Begun((1, 0, 0), 1, "w0")
    ended0, ended1 = (Ended(RunResult((n, 0, 0), "complete", {"accuracy": 0.5}), 0.5) for n in (0, 1))
    late = Ended(RunResult((2, 0, 0), "complete", {"accuracy": 0.9}), 0.9)  # nobody began it
    for _ in range(2):  # as if the first commit had arrived, and nobody had heard of it
        text = study.write_kept([ended0, begun, ended1, late], "away")
        assert text.startswith("away: 2 results")
        assert "1 came too late" in text
        assert [(run.state, run.attempt, run.value) for run in study.runs()] == [
            ("complete", 1, 0.5), ("complete", 1, 0.5), ("waiting", 0, None),
        ]  # fmt: skip
    assert store.events("digits")[-1].message == text


def test_a_late_start_of_a_lost_attempt_changes_nothing(study: StudyHandle) -> None:
    study.plan_runs([plan(0)])
    study.start_runs([plan(0, attempt=2)], worker="w1")
    before = study.runs()
    study.start_runs([plan(0, attempt=1)], worker="w0")
    study.start_runs([plan(0, attempt=2)], worker="w2")
    assert study.runs() == before


def test_every_attempt_is_kept_with_its_worker_and_its_end(store: Store, study: StudyHandle) -> None:
    study.plan_runs([plan(0)])
    for attempt, worker in enumerate(("w0", "w1", "w2"), 1):  # w0's is released, w1's is replaced
        study.start_runs([plan(0, attempt=attempt)], worker)
        if worker == "w0":
            study.release_runs()
    study.finish_run(RunResult((0, 0, 0), "oom", error="out of memory", attempt=3), None)
    engine = create_engine(store.url)
    with engine.connect() as connection:
        columns = select(attempts.c.attempt, attempts.c.worker, attempts.c.state, attempts.c.error)
        kept = [tuple(row) for row in connection.execute(columns.order_by(attempts.c.attempt))]
    engine.dispose()
    assert kept == [(1, "w0", "lost", ""), (2, "w1", "lost", ""), (3, "w2", "oom", "out of memory")]


def test_a_failed_run_can_be_started_again_but_not_a_complete_one(study: StudyHandle) -> None:
    study.plan_runs([plan(0), plan(1)])
    study.start_runs([plan(0), plan(1)], worker="w0")
    study.finish_run(RunResult((0, 0, 0), "crashed", error="killed"), None)
    study.finish_run(RunResult((1, 0, 0), "complete", {"accuracy": 0.5}), 0.5)
    study.start_runs([plan(0, attempt=2), plan(1, attempt=2)], worker="w1")
    crashed, complete = study.runs()
    assert (crashed.state, crashed.attempt, crashed.result) == ("running", 2, None)
    assert (complete.state, complete.attempt, complete.value) == ("complete", 1, 0.5)


def test_counts_are_exact_per_study(store: Store, study: StudyHandle) -> None:
    store.create_study("other", {}, folder="", study_file="")
    study.add_trials(TRIALS)
    plans = [plan(trial, seed=seed) for trial in range(2) for seed in range(3)]
    study.plan_runs(plans)
    with store.control("other") as other:
        other.add_trials(TRIALS[:1])
        other.plan_runs(plans[:1])
    study.start_runs(plans[:4], worker="w0")
    for p in plans[:2]:
        study.finish_run(RunResult(p.key, "complete"), 0.5)
    study.finish_run(RunResult(plans[2].key, "oom"), None)
    counts = {s.name: (s.n_trials, s.n_runs, s.n_complete) for s in store.studies()}
    assert counts == {"digits": (3, 6, 2), "other": (1, 1, 0)}
    assert study.release_runs() == 1
    assert study.release_runs() == 0
    states = [run.state for run in study.runs()]
    assert states == ["complete", "complete", "oom", "waiting", "waiting", "waiting"]


def test_failed_runs_and_their_trials_wait_again_when_asked(study: StudyHandle) -> None:
    plans = [plan(n) for n in range(3)]
    study.add_trials(TRIALS)
    study.plan_runs(plans)
    study.start_runs(plans, worker="w0")
    study.finish_run(RunResult(plans[0].key, "crashed", error="no file"), None)
    study.finish_run(RunResult(plans[1].key, "diverged", error="term `task` is nan"), None)
    study.finish_run(RunResult(plans[2].key, "complete"), 0.5)
    for trial, state in zip(TRIALS, ("crashed", "infeasible"), strict=False):
        study.finish_trial(trial.number, state, None)
    study.mark_told({trial.number: trial.number for trial in TRIALS})
    assert study.reopen_runs([p.key for p in plans[:2]], {0, 1}) == 2
    assert [run.state for run in study.runs()] == ["waiting", "waiting", "complete"]
    assert [(t.state, t.sampler_number) for t in study.trials()[:2]] == [("waiting", None)] * 2
    assert study.untold() == []
    study.finish_trial(0, "complete", 0.5)
    assert [trial.number for trial in study.untold()] == [0], "it is told to the sampler anew"
    study.start_runs([plans[0].next_attempt()], worker="w1")
    assert study.runs()[0].attempt == 2


def test_a_complete_run_is_never_reopened(study: StudyHandle) -> None:
    study.plan_runs([plan(0)])
    study.start_runs([plan(0)], worker="w0")
    study.finish_run(RunResult(plan(0).key, "complete"), 0.5)
    study.reopen_runs([plan(0).key], set())
    assert [run.state for run in study.runs()] == ["complete"]


def test_ten_thousand_trials_are_listed_in_few_queries(sqlite_url: str) -> None:
    n = 10_000
    with Store.open(sqlite_url) as store:
        store.create_study("large", {}, folder="", study_file="")
        with store.control("large") as study:
            study.add_trials([Trial(number, "curve", Recipe()) for number in range(n)])
            study.plan_runs([plan(number) for number in range(n)])
            with statements() as sent:
                assert [(s.n_trials, s.n_runs) for s in store.studies()] == [(n, n)]
                assert len(store.trials("large")) == n
                assert len(store.runs("large")) == n
                study.plan_runs([plan(number) for number in range(n)])
    assert len([statement for statement in sent if not statement.startswith("BEGIN")]) <= 10


def test_events_are_kept_in_order(store: Store, study: StudyHandle) -> None:
    for message in ("search begins", "noise is large", "confirm begins"):
        study.add_event("stage", message)
    kept = store.events("digits")
    assert [event.kind for event in kept] == ["stage"] * 3
    assert [event.message for event in kept] == ["search begins", "noise is large", "confirm begins"]
    assert [event.at for event in kept] == sorted(event.at for event in kept)
    assert store.events("digits", limit=1) == kept[:1]
    assert store.events("digits", after=kept[0].id) == kept[1:]


def test_a_run_with_numbers_that_are_not_finite_is_written_down(study: StudyHandle) -> None:
    study.plan_runs([plan(0)])
    study.start_runs([plan(0)], worker="w0")
    nan = float("nan")
    result = RunResult((0, 0, 0), "diverged", first_loss=nan, scales=(nan, 1.0), error="term `task` is nan")
    assert study.finish_run(result, None)
    (run,) = study.runs()
    assert run.result == replace(result, first_loss=None, scales=(None, 1.0))  # type: ignore[arg-type]


def test_a_result_of_an_earlier_version_has_nothing_mixed() -> None:
    data = {key: value for key, value in result_json(RESULT).items() if key not in ("norms", "mixed_weights")}
    fields = Run(1, 0, 2**40, "search", "valid", 45, "complete", 1, 0.5, None)
    run = run_of({**asdict(fields), "result": data})
    assert run.result == replace(RESULT, norms=(), mixed_weights=())


# The specification


def test_the_same_spec_again_changes_only_where_it_lies(study: StudyHandle) -> None:
    study.set_state("complete")
    before = study.study()
    study.update_spec({"name": "digits", "seed": 0}, folder="/elsewhere", study_file="")
    after = study.study()
    assert replace(after, folder=before.folder, updated_at=before.updated_at) == before
    assert after.folder == "/elsewhere"


def test_a_changed_study_file_lists_every_changed_key(store: Store) -> None:
    spec = {"name": "text", "train": {"lr": 0.002, "steps": 300}, "options": {}, "rungs": [0.1, 1.0]}
    other = {"name": "text", "train": {"lr": 0.01, "steps": 300}, "options": {"depth": 3}, "rungs": [0.2, 1.0]}
    store.create_study("text", spec, folder="", study_file="")
    with store.control("text") as study:
        study.record_facts(CHECKED)
        with pytest.raises(StudyChanged, match="new `name`, or restore") as caught:
            study.update_spec(other, folder="", study_file="")
    assert "`train.lr`: 0.002 -> 0.01, `options.depth`: unset -> 3, `rungs`: [0.1, 1.0] -> [0.2, 1.0];" in str(
        caught.value
    )
    assert "steps" not in str(caught.value)
    assert store.study("text").spec == spec


def test_a_study_of_an_older_version_goes_on_when_new_keys_stand_at_their_defaults(store: Store) -> None:
    spec = StudySpec(name="old", task="task.py:T").to_json()
    store.create_study("old", {**spec, "similarity": {"measure": "cka", "samples": 2048}}, folder="", study_file="")
    with store.control("old") as study:
        study.record_facts(CHECKED)
        study.update_spec(spec, folder="there", study_file="")
        assert store.study("old").folder == "there"
        changed = {**spec, "similarity": {**spec["similarity"], "maps": "mean"}}
        with pytest.raises(StudyChanged, match=r'`similarity\.maps`: "flatten" -> "mean"'):
            study.update_spec(changed, folder="there", study_file="")


def test_a_study_that_was_never_checked_takes_any_study_file(study: StudyHandle) -> None:
    study.update_spec({"name": "digits", "seed": 7}, folder="/there", study_file="seed: 7\n")
    assert (study.study().spec["seed"], study.study().folder) == (7, "/there")


def test_each_attempt_is_kept_with_where_it_ran(store: Store, study: StudyHandle) -> None:
    study.plan_runs([plan(0)])
    for attempt, threads in enumerate((1, 4), 1):
        study.update_spec({"name": "digits", "execution": {"threads": threads}}, folder="", study_file="")
        study.start_runs([plan(0, attempt=attempt)], worker="w0")
    engine = create_engine(store.url)
    with engine.connect() as connection:
        kept = connection.execute(select(attempts.c.execution).order_by(attempts.c.attempt)).scalars().all()
    engine.dispose()
    assert kept == [{"threads": 1}, {"threads": 4}]


def test_what_is_written_at_once_is_written_whole_or_not_at_all(store: Store, study: StudyHandle) -> None:
    def write(plans: Sequence[RunPlan]) -> None:
        with study.in_one_transaction():
            study.add_trials(TRIALS)
            study.plan_runs(plans)
            assert (study.trials(), study.runs()) == ([], [])
            study.start_runs(plans, "w0")
            assert plans, "half of it"

    with pytest.raises(AssertionError, match="half of it"):
        write([])
    assert (study.trials(), study.runs()) == ([], [])
    write([plan(0)])
    assert (study.trials(), len(study.runs())) == (TRIALS, 1)
    study.set_state("stopped")
    assert study.state() == "stopped", "a transaction of its own again"


# The fence


WRITES: dict[str, Callable[[StudyHandle], object]] = {
    "update_spec": lambda study: study.update_spec({"name": "digits", "seed": 0}, folder="/taken", study_file=""),
    "set_state": lambda study: study.set_state("failed"),
    "drop_curves": lambda study: study.drop_curves(),
    "write_kept": lambda study: study.write_kept([Begun((0, 0, 0), 9, "1@cpu")], "the database was away"),
    "record_facts": lambda study: study.record_facts(StudyFacts(finalists=(1,))),
    "rename": lambda study: study.rename("taken"),
    "copy": lambda study: study.copy("copied", "2026-11-27T00:00:00+00:00"),
    "delete": lambda study: study.delete(),
    "expect_runs": lambda study: study.expect_runs(9),
    "add_event": lambda study: study.add_event("note", "too late"),
    "add_trials": lambda study: study.add_trials(TRIALS[1:]),
    "finish_trial": lambda study: study.finish_trial(0, "complete", 0.9),
    "mark_told": lambda study: study.mark_told({0: 9}),
    "plan_runs": lambda study: study.plan_runs([plan(1)]),
    "start_runs": lambda study: study.start_runs([plan(0)], "w0"),
    "finish_run": lambda study: study.finish_run(RunResult((0, 0, 0), "complete"), 0.9),
    "release_runs": lambda study: study.release_runs(),
    "in_one_transaction": lambda study: study.in_one_transaction().__enter__(),
    "guarded": lambda study: study.guarded().__enter__(),
    "reopen_runs": lambda study: study.reopen_runs([(0, 0, 0)], {0}),
}


def test_every_write_is_fenced() -> None:
    reads = {"study", "state", "facts", "trials", "runs", "untold", "stop_requested"}
    assert {name for name in vars(StudyHandle) if not name.startswith("_")} == {*WRITES, *reads}


@pytest.mark.parametrize("name", WRITES)
def test_a_controller_that_lost_its_study_writes_nothing(store: Store, name: str) -> None:
    with (
        store.control("digits", lease_seconds=0) as late,
        Store.open(store.url) as other,
        other.maintain("digits") as new,
    ):
        new.add_trials(TRIALS[:1])
        new.plan_runs([plan(0)])
        new.start_runs([plan(0)], "w1")
        before = (new.study(), new.trials(), new.runs(), store.events("digits"))
        with pytest.raises(StudyBusy, match="took over from this process"):
            WRITES[name](late)
        assert (new.study(), new.trials(), new.runs(), store.events("digits")) == before
        assert new.epoch == late.epoch + 1


def test_a_deleted_study_is_not_written_to(store: Store, study: StudyHandle) -> None:
    engine = create_engine(store.url)
    with engine.begin() as connection:
        connection.execute(delete(studies))
    engine.dispose()
    with pytest.raises(StudyNotFound, match="`digits` was deleted"):
        study.set_state("complete")
