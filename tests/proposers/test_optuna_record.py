import logging
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from mapsearch.core.errors import DatabaseFailed, StudyBusy
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.core.trials import Trial
from mapsearch.proposers.depth_curve import DepthCurve
from mapsearch.proposers.optuna_record import OptunaRecord
from mapsearch.store.store import Store

RECIPE = Recipe(LayerMapping([("s.0", "t.0", 1.0)]), feature_share=0.5, anneal=None)
CURVE = Trial(3, "curve", RECIPE, params=DepthCurve(0.0, 1.0)._asdict(), state="complete", value=0.5)
FREE = Trial(4, "free", replace(RECIPE, loss="cosine", anneal=1.0), state="complete", value=0.9)


@pytest.fixture
def url(tmp_path):
    return new_database(tmp_path / "study.db")


def new_database(path):
    """A database in the journal mode that the store leaves it in."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    return f"sqlite:///{path}"


def record(url, direction="maximize", guard=nullcontext, **choices):
    return OptunaRecord(url, "study", "accuracy", direction, "2026-11-27", SpaceSpec(**choices), guard)


def history(url):
    return optuna.load_study(storage=url, study_name="study").trials


def test_trials_are_recorded_once_with_their_settings_and_numbers(url):
    here = record(url)
    first = here.add([CURVE])
    assert here.add([CURVE]) == record(url).add([CURVE]) == first == {3: 0}
    assert here.add([CURVE, FREE]) == {3: 0, 4: 1}
    assert [t.value for t in history(url)] == [0.5, 0.9]
    assert optuna.load_study(storage=url, study_name="study").metric_names == ["accuracy"]
    ours = {"trial": 3, "proposer": "curve", "recipe": str(RECIPE)}
    assert history(url)[0].user_attrs == ours
    curve, free = (t.params for t in history(url))
    assert (curve["recipe.feature_share"], curve["curve.end"], curve["recipe.loss"]) == (0.5, 1.0, "nmse")
    assert "recipe.anneal" not in curve
    assert free["recipe.anneal"] == 1.0


def test_what_all_recipes_have_in_common_is_said_once_and_what_differs_with_its_trial(url):
    record(url).add([CURVE, replace(FREE, recipe=replace(RECIPE, projector="mlp"))])
    told = optuna.load_study(storage=url, study_name="study").user_attrs
    alike = {"recipe.projector": "linear", "recipe.aggregation": "sum", "recipe.balance": "frozen", "curve.prior": 0.0}
    assert {name: value for name, value in told.items() if "." in name} == alike
    curve, other = (t.params for t in history(url))
    assert not alike.keys() & curve.keys()
    assert {name: other[name] for name in alike.keys() & other.keys()} == {"recipe.projector": "mlp"}


def test_what_curves_may_do_without_is_no_common_value_and_no_fading_is_told_from_the_one_that_there_is(url):
    with_prior = replace(CURVE, number=4, params=CURVE.params | {"prior": 1.0})
    fading = replace(CURVE, number=5, recipe=replace(RECIPE, anneal=0.5))
    record(url, similarity_weight=(1.0, 1.0), anneal=[0.5]).add([CURVE, with_prior, fading])
    told = optuna.load_study(storage=url, study_name="study").user_attrs
    assert not {"curve.prior", "recipe.anneal"} & told.keys()
    assert [t.params["curve.prior"] for t in history(url)] == [0.0, 1.0, 0.0]
    assert [t.params.get("recipe.anneal") for t in history(url)] == [None, None, 0.5]


def test_a_trial_that_was_run_again_is_recorded_with_its_new_value(url):
    here = record(url)
    assert here.add([CURVE]) == {3: 0}
    assert here.add([replace(CURVE, value=0.75)]) == {3: 1}
    assert here.add([replace(CURVE, value=0.75)]) == {3: 1}


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_infeasible_is_a_violated_constraint_not_a_failure(url, direction):
    here = record(url, direction)
    infeasible = replace(FREE, state="infeasible", value=None)
    assert here.add([CURVE, infeasible]) == here.add([CURVE, infeasible]) == {3: 0, 4: 1}
    assert [trial.constraints for trial in history(url)] == [{}, {"infeasible": 1.0}]
    assert optuna.load_study(storage=url, study_name="study").best_trial.number == 0


def test_nothing_is_logged(url, caplog, capfd):
    record(url).add([CURVE])
    assert [r for r in caplog.records if r.levelno < logging.WARNING and "optuna" in r.name] == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("exchange", [1, 2, 3])
def test_an_exchange_in_which_the_database_fails_is_repeated_and_leaves_nothing_twice(url, exchange):
    begun = []

    @contextmanager
    def failing_once():
        begun.append(1)
        yield
        if len(begun) == exchange:
            raise DatabaseFailed("the server is gone")

    record(url, guard=failing_once).add([CURVE, FREE])
    assert len(begun) == 4, "one was repeated"
    assert len(history(url)) == 2


KILLED = """
import os, signal
from sqlalchemy import Engine, event
from test_optuna_record import CURVE, FREE, record

here, commits = record({url!r}), []

def die_in_the_third(_):
    commits.append(1)
    if len(commits) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

event.listen(Engine, "commit", die_in_the_third)
here.add([CURVE, FREE])
"""
"""What was recorded is read, one trial is recorded, and the process dies before the next is committed."""


def test_a_process_killed_inside_a_transaction_of_optuna_leaves_no_trial_half_or_twice(url):
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    script = [sys.executable, "-c", KILLED.format(url=url)]
    assert subprocess.run(script, env={**os.environ, "PYTHONPATH": paths}).returncode == -signal.SIGKILL
    assert [t.value for t in history(url)] == [0.5]
    assert record(url).add([CURVE, FREE]) == {3: 0, 4: 1}
    assert [t.value for t in history(url)] == [0.5, 0.9]


def test_a_controller_that_lost_its_study_records_nothing(url):
    with Store.open(url) as store, Store.open(url) as other:
        store.create_study("digits", {}, folder="", study_file="")
        with store.control("digits", lease_seconds=0) as study:
            here = record(url, guard=study.guarded)
            with other.maintain("digits"):
                with pytest.raises(StudyBusy, match="took over"):
                    here.add([CURVE])
                assert history(url) == []
