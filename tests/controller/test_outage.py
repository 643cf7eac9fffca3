"""A database that is away, at any write, before it or just after its commit: nothing is lost and nothing done twice."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mapsearch.controller import stages
from mapsearch.controller.outage import Outages
from mapsearch.controller.proposals import try_proposals
from mapsearch.core.errors import DatabaseAway, DatabaseCorrupt
from mapsearch.core.events import Message
from mapsearch.core.recipe import Recipe
from mapsearch.store.renewal import HeldLease

PLAIN = {"none": Recipe(), "outputs": Recipe(output_weight=1.0, temperature=2.0)}


class Clock:
    """Time passes only where somebody sleeps."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def outages(context, patience=1000.0):
    clock = Clock()
    return Outages(context.study, context.spool, patience, clock, clock.sleep)


def steps(context) -> Iterator[object]:
    yield from stages.tune(context)
    yield from stages.noise(context, PLAIN)
    yield from try_proposals(context, PLAIN["outputs"])
    yield from stages.shortlist(context)


def fail_writes(monkeypatch, fails):
    """`fails()` is asked before each transaction, before its commit and after it."""
    write = HeldLease.writing

    @contextmanager
    def writing(self):
        is_outermost = self._transaction is None
        if is_outermost and fails():
            raise DatabaseAway("gone before a write" + DatabaseAway.WAY_OUT)
        with write(self) as db:
            yield db
            if is_outermost and fails():
                raise DatabaseAway("gone before a commit" + DatabaseAway.WAY_OUT)
        if is_outermost and fails():
            raise DatabaseAway("gone after a write" + DatabaseAway.WAY_OUT)

    monkeypatch.setattr(HeldLease, "writing", writing)


@pytest.mark.parametrize("n_workers", [1, 3])
def test_a_study_whose_database_is_away_again_and_again_is_the_undisturbed_one(open_context, monkeypatch, n_workers):
    undisturbed = open_context(n_workers, name="undisturbed")
    list(steps(undisturbed))
    context, generator = open_context(n_workers), random.Random(n_workers)
    fail_writes(monkeypatch, lambda: generator.random() < 0.03)
    told = list(outages(context).outlast(lambda: steps(context), context.keep_all))
    assert sum(isinstance(x, Message) and x.stage == "database" for x in told) > 4
    assert {run.attempt for run in context.runs} == {1}, "no run was begun twice"
    trained = [trial for _, trials in context.scheduler.executor.log for trial in trials]
    assert len(trained) == len(context.runs)
    if n_workers == 1:  # several workers meet in another order, and propose from what is known then
        assert context.trials == undisturbed.trials
        assert context.runs == undisturbed.runs
    assert not context.spool.path.exists()


def test_what_is_found_meanwhile_is_kept_and_written_when_it_is_back(open_context, monkeypatch):
    context = open_context()
    away = iter([False] * 5 + [True] * 8)
    fail_writes(monkeypatch, lambda: next(away, False))
    told = outages(context).outlast(lambda: steps(context), context.keep_all)
    begun, ended = (x.text for x in told if isinstance(x, Message) and "gone" in x.text)
    assert "1000 s at most" in begun
    assert str(context.spool.path) in begun
    assert "results kept meanwhile are written" in ended
    assert {run.state for run in context.runs} == {"complete"}


def test_a_database_that_stays_away_stops_the_study_and_says_where_the_results_are(open_context, monkeypatch):
    context = open_context()
    n_writes = iter(range(1000))
    fail_writes(monkeypatch, lambda: next(n_writes) > 5)
    with pytest.raises(DatabaseAway, match=r"waited 60 s .*database_seconds.*\n.*results .* kept in .*unwritten"):
        list(outages(context, patience=60.0).outlast(lambda: steps(context), context.keep_all))
    n_kept = context.spool.n_results
    assert n_kept > 0
    monkeypatch.undo()
    text = "\n".join(message.text for message in outages(context).write_kept())
    assert f"{n_kept} results" in text
    list(steps(context))
    assert {(run.state, run.attempt) for run in context.runs} == {("complete", 1)}


def test_a_damaged_database_is_not_waited_for(open_context):
    context = open_context()

    def damaged():
        yield Message("tune", "begun")
        raise DatabaseCorrupt("malformed")

    with pytest.raises(DatabaseCorrupt, match="malformed"):
        list(outages(context).outlast(damaged))
