"""The migrations lead to the tables of schema.py, beside Optuna's own and in either order.

Each file of `golden/` is the study of `study_fixtures.py` with two proposals, run by the mapsearch of that form,
without Optuna's tables and but for two runs of each stage. A new migration comes with the file of the form before it.
"""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from optuna.storages import RDBStorage
from sqlalchemy import JSON, MetaData, create_engine, insert, inspect, select, text

from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.store.migrations import configuration
from mapsearch.store.schema import HEAD, METADATA, VERSION_TABLE
from mapsearch.store.store import Store
from mapsearch.store.transfer import integrity


def open_optuna(url: str) -> None:
    storage = RDBStorage(url)
    storage.remove_session()
    storage.engine.dispose()


def check_drift(url: str) -> set[str]:
    """Names of all tables; raises if autogenerate would change ours."""
    engine = create_engine(url)
    with engine.begin() as connection:
        command.check(configuration(connection))
        names = set(inspect(connection).get_table_names())
    engine.dispose()
    return names


def test_the_migrated_database_is_the_schema(url: str) -> None:
    Store.open(url).close()
    assert check_drift(url) == {*METADATA.tables, VERSION_TABLE}


@pytest.mark.parametrize("optuna_first", [True, False])
def test_optunas_tables_stand_beside_ours(url: str, optuna_first: bool) -> None:
    if optuna_first:
        open_optuna(url)
    Store.open(url).close()
    open_optuna(url)
    assert check_drift(url) >= {*METADATA.tables, "alembic_version", "trials"}
    with Store.open(url) as store:
        assert store.studies() == []


def test_a_migration_can_be_undone(url: str) -> None:
    open_optuna(url)
    Store.open(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        command.downgrade(configuration(connection), "base")
        assert not set(inspect(connection).get_table_names()) & set(METADATA.tables)
    engine.dispose()
    Store.open(url).close()
    check_drift(url)


def test_head_is_the_newest_migration(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        assert ScriptDirectory.from_config(configuration(connection)).get_current_head() == HEAD
    engine.dispose()


def test_a_study_of_version_0001_is_read_and_goes_on(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "0001")
        connection.execute(text(OLD_STUDY), {"facts": json.dumps({"finalists": [0], "verdict": OLD_VERDICT})})
        connection.execute(text(OLD_TRIAL), {"recipe": json.dumps(OLD_RECIPE)})
        connection.execute(text(OLD_RUN), {"result": json.dumps(OLD_RESULT)})
    engine.dispose()
    with Store.open(url) as store:
        (summary,) = store.studies()
        assert (summary.state, summary.sentence, summary.n_complete) == ("stopped", "TIES none", 1)
        assert store.study("old").facts.finalists == (0,)
        (row,) = store.study("old").facts.verdict.against
        assert row.control == "outputs"
        assert store.trials("old") == [
            Trial(0, "control", Recipe(output_weight=3.0), "outputs", state="complete", value=0.5)
        ]
        (run,) = store.run_summaries("old")
        assert (run.seconds, run.error, run.notes, run.mixed_weights) == (12.5, "", ("a note",), (0.25, 0.75))
        assert store.runs("old")[0].seed == 0
        with store.control("old", lease_seconds=0.6) as study:
            study.set_state("complete")
        assert study.epoch == 1


GOLDEN = {path.stem: path for path in sorted((Path(__file__).parent / "golden").glob("*.sql"))}


@pytest.fixture
def write(url: str, sqlite_url: str) -> Callable[[str], str]:
    """`write(form)` -> the URL of a database of that form; on PostgreSQL its tables are made by the migrations."""

    def fill(form: str) -> str:
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as db:
            db.executescript(GOLDEN[form].read_text(encoding="utf-8"))
        if url != sqlite_url:
            move_rows(sqlite_url, url, form)
        return url

    return fill


def move_rows(source: str, target: str, form: str) -> None:
    engine, into = create_engine(source), create_engine(target)
    theirs, ours = MetaData(), MetaData()
    theirs.reflect(engine)
    with engine.connect() as old, into.begin() as new:
        command.upgrade(configuration(new), form)
        ours.reflect(new)
        assert set(ours.tables) == set(theirs.tables)
        for table in ours.sorted_tables:
            for column in table.columns:
                if isinstance(column.type, JSON):
                    column.type = JSON(none_as_null=True)
            rows = [dict(row) for row in old.execute(select(theirs.tables[table.name])).mappings()]
            if rows and table.name != VERSION_TABLE:
                new.execute(insert(table), rows)
    engine.dispose()
    into.dispose()


def test_every_form_before_the_newest_has_one(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    with engine.connect() as db:
        forms = {script.revision for script in ScriptDirectory.from_config(configuration(db)).walk_revisions()}
    engine.dispose()
    assert forms - {HEAD} <= set(GOLDEN) <= forms


@pytest.mark.parametrize("form", GOLDEN)
def test_it_is_read_and_goes_on(form: str, write: Callable[[str], str]) -> None:
    url = write(form)
    with Store.open_to_read(url) as store:
        (summary,) = store.studies()
        assert (summary.name, summary.state, summary.n_runs) == ("tiny", "complete", summary.n_complete)
        study, trials, runs = store.study("tiny"), store.trials("tiny"), store.runs("tiny")
        verdict = study.facts.verdict
        assert verdict is not None
        assert verdict.sentence
        assert {trial.state for trial in trials} == {"complete"}
        assert {"none", "outputs", "uniform"} <= {trial.control for trial in trials}
        assert {"tune", "search", "confirm"} <= {run.stage for run in runs}
        assert all(run.result is not None and run.value == run.result.metrics["accuracy"] for run in runs)
        assert {trial.number for trial in store.page("tiny").trials} == {trial.number for trial in trials}
        details = store.details("tiny", 3)
        assert store.trial("tiny", runs[0].trial).runs
    assert details.overview.name == "tiny"
    assert integrity(url) == []
    with Store.open(url) as store, store.control("tiny") as handle:
        handle.set_state("queued")
        assert (handle.trials(), handle.runs()) == (trials, runs)


OLD_RESULT = {
    "state": "complete", "metrics": {"accuracy": 0.5}, "seconds": 12.5, "curve": [], "scales": [], "norms": [],
    "mixed_weights": [0.25, 0.75], "gradient_shares": [], "first_loss": 1.0, "error": "", "notes": ["a note"],
}  # fmt: skip
OLD_VERDICT = {
    "sentence": "TIES none", "nominee": 0, "recommended": 0, "noise": None, "warnings": [], "against": [{
        "control": "logits", "trial": 0, "outcome": "TIES", "difference": 0.0, "low": 0.0, "high": 0.0,
        "p_value": 1.0, "n_seeds": 2,
    }],
}  # fmt: skip
OLD_RECIPE = {"pairs": [], "logit_weight": 3.0, "logit_loss": "kl"}
OLD_STUDY = """
INSERT INTO mapsearch_studies
(id, name, state, spec, study_file, folder, facts,
 lease_owner, lease_host, lease_pid, lease_until, created_at, updated_at)
VALUES ('1', 'old', 'running', '{}', '', '', :facts, 'me', 'there', 7, 1.0, '2026', '2026')
"""
OLD_TRIAL = """
INSERT INTO mapsearch_trials (study_id, number, proposer, control, recipe, params, state, value, told)
VALUES ('1', 0, 'control', 'logits', :recipe, '{}', 'complete', 0.5, false)
"""
OLD_RUN = """
INSERT INTO mapsearch_runs (study_id, trial, rung, seed, stage, split, n_steps, state, attempt, value, result)
VALUES ('1', 0, 0, 0, 'search', 'valid', 9, 'complete', 1, 0.5, :result)
"""
