"""A finished study that grows: what was run stays, what is new comes on top, and the verdict is given anew."""

import pytest

from mapsearch.api.confirmation import confirm
from mapsearch.api.queries import read
from mapsearch.controller.run import run_study
from mapsearch.core.errors import SpecError, StudyChanged
from mapsearch.core.trials import PROPOSALS

SMALL = {"confirm": {"seeds": 2}, "search": {"trials": 2}, "margin": 0.0001}


def confirmed(runs, trial):
    return {run.seed for run in runs if run.stage == "confirm" and run.trial == trial}


def test_a_finished_study_searches_on_with_more_trials_and_confirms_with_more_seeds(spec, url):
    run_study(spec(**SMALL), url, inline=True)
    _, first_trials, first_runs = read("tiny", url)

    grown = spec(confirm={"seeds": 8}, search={"trials": 8}, margin=0.0001)
    verdict = run_study(grown, url, inline=True)
    study, trials, runs = read("tiny", url)
    assert study.state == "complete"
    assert study.spec["search"]["trials"] == 8
    assert [t.number for t in trials] == list(range(len(trials)))
    assert sum(t.proposer in PROPOSALS for t in trials) == 8
    assert [t.recipe for t in trials[: len(first_trials)]] == [t.recipe for t in first_trials]
    assert {run.key: run.value for run in first_runs}.items() <= {run.key: run.value for run in runs}.items()

    nominee = trials[verdict.nominee]
    assert study.facts.finalists_chosen_from[0] == sum(t.proposer != "matched" for t in trials)
    for row in (row for row in verdict.against if row.outcome is not None):
        assert len(confirmed(runs, row.trial)) == row.n_seeds in (4, 6, 8)
        assert confirmed(runs, row.trial) <= confirmed(runs, nominee.number)
    for against in verdict.against:
        recipe = trials[against.trial].recipe
        if trials[against.trial].proposer == "matched" and recipe.mapping.pairs:
            assert (recipe.loss, recipe.feature_share) == (nominee.recipe.loss, nominee.recipe.feature_share)

    assert run_study(grown, url, inline=True) == verdict
    assert read("tiny", url)[2] == runs, "nothing is run again"


def test_the_open_questions_of_a_finished_study_get_more_seeds(spec, url):
    first = run_study(spec(**SMALL), url, inline=True)
    assert first.decision == "undecided"
    before = read("tiny", url)[2]
    second = confirm("tiny", 8, url, inline=True)
    open_before = {q.control for q in first.questions if q.outcome == "INCONCLUSIVE"}
    for question in second.questions:
        if question.control in open_before:
            assert question.n_seeds > 4
    after = read("tiny", url)[2]
    assert {run.key: run.value for run in before}.items() <= {run.key: run.value for run in after}.items()
    assert run_study(spec(**SMALL), url, inline=True) == second, "the study file is as it was, and what it found stays"
    with pytest.raises(SpecError, match=r"--seeds must be more than the \d+ fresh seeds"):
        confirm("tiny", 4, url, inline=True)


def test_a_study_cannot_shrink(spec, url):
    run_study(spec(**SMALL), url, inline=True)
    with pytest.raises(StudyChanged, match=r"`confirm.seeds`: 3 -> 2|`search.trials`: 2 -> 1, but it may only grow"):
        run_study(spec(confirm={"seeds": 2}, search={"trials": 1}, margin=0.0001), url, inline=True)


def test_the_same_study_goes_on_elsewhere(spec, url):
    verdict = run_study(spec(**SMALL), url, inline=True)
    moved = spec(**SMALL, execution={"workers": 2, "cohort": 1, "cache_bytes": 0, "threads": 1})
    assert run_study(moved, url, inline=True) == verdict
    assert read("tiny", url)[0].spec["execution"]["cohort"] == 1
