import logging
import sqlite3
from contextlib import closing, contextmanager, nullcontext
from statistics import fmean

import optuna
import pytest
from optuna.trial import TrialState

from mapsearch.core.errors import DatabaseFailed, StudyBusy
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.proposers.sampler import N_STARTUP, Sampler, create_tables
from mapsearch.store import database
from mapsearch.store.store import Store

POINT = {
    "feature_share": 0.5,
    "loss": "nmse",
    "projector": "linear",
    "aggregation": "sum",
    "balance": "frozen",
    "anneal": 1.0,
    "lr": 1.0,
    "teacher_0": 1,
    "teacher_1": 2,
}


@pytest.fixture
def url(tmp_path):
    return new_database(tmp_path / "study.db")


def new_database(path):
    """A database in the journal mode that the store leaves it in."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    return f"sqlite:///{path}"


def sampler(url, name="study", direction="maximize", kind="tpe", seed=0, guard=nullcontext):
    return Sampler(url, name, direction, SpaceSpec(), 2, 4, kind, seed, "2026-11-22", guard)


def history(url, name="study"):
    return optuna.load_study(storage=url, study_name=name).trials


def test_asked_trials_are_told_once(url):
    here = sampler(url)
    number, params = here.ask("curve", draw=0, trial=17)
    assert set(params) == {
        "feature_share", "loss", "projector", "aggregation", "balance", "anneal", "lr",
        "lo", "rise", "gamma", "width", "similarity_weight", "max_teachers", "slope",
    }  # fmt: skip
    here.tell(number, 0.7)
    here.tell(number, 0.1)
    here.tell(number, None)
    (trial,) = history(url)
    assert (trial.number, trial.value, trial.state) == (number, 0.7, TrialState.COMPLETE)
    assert trial.user_attrs == {"trial": 17}


def test_the_free_space_has_a_teacher_layer_or_none_per_student_layer(url):
    _, params = sampler(url).ask("free", draw=0, trial=0)
    assert set(params) == set(POINT)
    assert all(0 <= params[key] <= 4 for key in ("teacher_0", "teacher_1"))


def test_adding_a_control_twice_changes_nothing(url):
    here = sampler(url)
    first = here.add(POINT, 0.5, trial=3)
    assert here.add(POINT, 0.5, trial=3) == first
    assert here.add(POINT, 0.9, trial=4) != first
    assert [trial.value for trial in history(url)] == [0.5, 0.9]
    assert history(url)[0].params == POINT


def test_a_trial_that_was_run_again_is_told_with_its_new_value(url):
    here = sampler(url)
    first = here.add(POINT, 0.5, trial=3)
    second = here.add(POINT, 0.75, trial=3)
    assert second != first
    assert here.add(POINT, 0.75, trial=3) == second
    assert [trial.value for trial in history(url)] == [0.5, 0.75]


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_infeasible_is_a_violated_constraint_not_a_failure(url, direction):
    here = sampler(url, direction=direction)
    here.add(POINT, 0.5, trial=0)
    number, params = here.ask("free", draw=0, trial=1)
    for _ in range(2):  # a crash in between asks again
        here.tell(number, None)
    asked, told = history(url)[number:]
    assert asked.state == TrialState.FAIL
    assert (told.state, told.params, told.user_attrs) == (TrialState.COMPLETE, params, {"trial": 1})
    assert told.constraints == {"infeasible": 1.0}
    assert optuna.load_study(storage=url, study_name="study").best_trial.number == 0


@pytest.mark.parametrize("kind", ["tpe", "random"])
def test_the_same_draw_on_the_same_history_repeats(tmp_path, kind):
    asked = []
    for name in ("one", "two"):
        url = new_database(tmp_path / f"{name}.db")
        here = sampler(url, kind=kind)
        for draw in range(N_STARTUP + 3):
            number, params = here.ask("curve", draw, draw)
            here.tell(number, params["lo"])
        asked.append([trial.params for trial in history(url)])
    assert asked[0] == asked[1]
    assert len({tuple(params.items()) for params in asked[0]}) == N_STARTUP + 3


def test_a_restart_goes_on_as_if_nothing_had_happened(tmp_path):
    found = []
    for restarts in (False, True):
        url = new_database(tmp_path / f"{restarts}.db")
        here = sampler(url)
        for draw in range(N_STARTUP + 2):
            here = sampler(url) if restarts else here
            number, params = here.ask("curve", draw, draw)
            here.tell(number, params["lo"])
        found.append([trial.params for trial in history(url)])
    assert found[0] == found[1]


def test_running_trials_that_nobody_knows_are_forgotten(url):
    here = sampler(url)
    known, lost, done = (here.ask("free", draw, draw)[0] for draw in range(3))
    here.tell(done, 0.5)
    assert here.forget_all_but([known]) == 1
    assert here.forget_all_but([known]) == 0
    states = {trial.number: trial.state for trial in history(url)}
    assert states == {known: TrialState.RUNNING, lost: TrialState.FAIL, done: TrialState.COMPLETE}


def goodness(params):
    return -((params["lo"] - 0.3) ** 2) - (params["rise"] - 0.5) ** 2 - (params["feature_share"] - 0.6) ** 2


def late_mean(url, kind, seed):
    here = sampler(url, kind=kind, name=f"{kind}{seed}", seed=seed)
    values = []
    for draw in range(30):
        number, params = here.ask("curve", draw, draw)
        values.append(goodness(params))
        here.tell(number, values[-1])
    return fmean(values[15:])


def test_tpe_proposes_better_recipes_than_random(url):
    tpe, random = (late_mean(url, kind, seed=0) for kind in ("tpe", "random"))
    assert tpe > 0.5 * random  # both are negative: TPE's distance is less than half
    assert random < -0.1


def test_tpe_leaves_the_infeasible_region(url):
    here = sampler(url)
    losses = []
    for draw in range(30):
        number, params = here.ask("curve", draw, draw)
        losses.append(params["loss"])
        here.tell(number, None if params["loss"] == "nmse" else goodness(params))
    assert losses[20:].count("nmse") <= 2


def test_nothing_is_logged(url, caplog, capfd):
    here = sampler(url)
    here.tell(here.ask("curve", 0, 0)[0], 1.0)
    sampler(url)
    assert [record for record in caplog.records if record.levelno < logging.WARNING and "optuna" in record.name] == []
    assert capfd.readouterr() == ("", "")


class FailsOnce:
    """A guard: of the exchange of that number, the first try fails when all of it is done."""

    def __init__(self, exchange):
        self.n_begun, self.exchange = 0, exchange

    @contextmanager
    def __call__(self):
        self.n_begun += 1
        yield
        if self.n_begun == self.exchange:
            raise DatabaseFailed("the server is gone")


def exchanges(here):
    number, _ = here.ask("free", draw=0, trial=1)
    here.tell(number, 0.5)
    here.tell(here.ask("free", draw=1, trial=2)[0], None)
    here.add(POINT, 0.25, trial=3)
    here.forget(here.ask("curve", draw=2, trial=4)[0])
    here.ask("curve", draw=3, trial=5)
    here.forget_all_but([])


def outcomes(url):
    """What the sampler learns from: not what failed or was asked twice."""
    finished = [t for t in history(url) if t.state == TrialState.COMPLETE]
    return [(t.params, t.value, t.constraints, t.user_attrs) for t in finished]


@pytest.mark.parametrize("exchange", range(1, 11))
def test_an_exchange_in_which_the_database_fails_is_repeated_and_leaves_nothing_twice(url, tmp_path, exchange):
    exchanges(sampler(url, kind="random"))
    failed, guard = new_database(tmp_path / "failed.db"), FailsOnce(exchange)
    exchanges(sampler(failed, kind="random", guard=guard))
    assert guard.n_begun == 11, "one was repeated"
    assert outcomes(failed) == outcomes(url)
    assert not [t for t in history(failed) if t.state == TrialState.RUNNING]


def test_a_database_that_fails_again_is_an_error(url):
    @contextmanager
    def failing():
        raise DatabaseFailed("the server is gone")
        yield

    with pytest.raises(DatabaseFailed, match="gone"):
        sampler(url, guard=failing)


@pytest.mark.postgres
def test_a_server_that_goes_away_is_waited_for_before_and_while_it_is_asked(server, postgresql_url, monkeypatch):
    with Store.open(postgresql_url, create_more=create_tables) as store:
        store.create_study("digits", {}, folder="", study_file="")
        with store.control("digits") as study, closing(sampler(postgresql_url, guard=study.guarded)) as here:
            monkeypatch.setattr(database.time, "sleep", lambda seconds: server(open=True))
            server(open=False)
            first, _ = here.ask("free", draw=0, trial=0)
            ask, n_asked = here._study.ask, []

            def ask_into_the_void(space):
                n_asked.append(1)
                if len(n_asked) == 1:
                    server(open=False)
                return ask(space)

            monkeypatch.setattr(here._study, "ask", ask_into_the_void)
            second, _ = here.ask("free", draw=1, trial=1)
            here.tell(first, 0.5)
            here.tell(second, 0.25)
            told = [t.value for t in here._study.trials if t.state == TrialState.COMPLETE]
        assert [event.kind for event in store.events("digits")] == ["database", "database"]
    assert len(n_asked) == 2
    assert told == [0.5, 0.25]


@pytest.mark.postgres
def test_a_server_that_stays_away_is_an_error_of_ours(server, postgresql_url, monkeypatch):
    with Store.open(postgresql_url, create_more=create_tables) as store:
        store.create_study("digits", {}, folder="", study_file="")
        with store.control("digits") as study, closing(sampler(postgresql_url, guard=study.guarded)) as here:
            monkeypatch.setattr(database.time, "sleep", lambda seconds: None)
            server(open=False)
            with pytest.raises(DatabaseFailed, match="again"):
                here.ask("free", draw=0, trial=0)


def test_a_controller_that_lost_its_study_asks_and_tells_nothing(url):
    with Store.open(url) as store, Store.open(url) as other:
        store.create_study("digits", {}, folder="", study_file="")
        with store.control("digits", lease_seconds=0) as study:
            here = sampler(url, guard=study.guarded)
            number, _ = here.ask("free", draw=0, trial=0)
            with other.control("digits"):
                before = history(url)
                for write in (
                    lambda: here.ask("free", draw=1, trial=1), lambda: here.tell(number, 0.5),
                    lambda: here.add(POINT, 0.5, trial=2), lambda: here.forget(number), lambda: here.forget_all_but([]),
                ):  # fmt: skip
                    with pytest.raises(StudyBusy, match="took over"):
                        write()
                assert history(url) == before
