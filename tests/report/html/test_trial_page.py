"""What stands on a trial's page."""

from dataclasses import replace

import pytest

from mapsearch.core.details import TrialDetails
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run, RunResult
from mapsearch.report.html.trial_page import MOST_TERMS, trial_page


def run(seed, shares):
    result = RunResult((3, 1, seed), "complete", gradient_shares=shares)
    return Run(3, 1, seed, "confirm", "test", 20, "complete", 1, 0.97, result)


@pytest.fixture
def trial(details):
    """`trial(runs, **changes)`: the details of trial 3."""

    def make(runs, **changes):
        whole = details()
        summary = next(trial for trial in whole.overview.trials if trial.number == 3)
        return TrialDetails(whole.overview, whole.facts, replace(summary, **changes), tuple(runs), ())

    return make


def test_shares_are_means_over_runs_and_sum_to_one(trial):
    page = trial_page(trial([run(0, (0.1, 0.2, 0.3)), run(1, (0.3, 0.2, 0.1))]))
    assert page.shares[0].term == "task and outputs"
    assert sum(share.part for share in page.shares) == pytest.approx(1.0)
    assert page.shares[0].part == pytest.approx(0.4)
    assert page.n_shared == 2


def test_of_many_terms_the_largest_have_bars(trial):
    mapping = LayerMapping([("blocks.0", f"blocks.{t}", 1.0) for t in range(30)])
    recipe = Recipe(mapping, feature_share=0.5).to_json()
    page = trial_page(trial([run(0, tuple(t / 1000 for t in range(30)))], recipe=recipe))
    assert len(page.shares) == MOST_TERMS + 2
    assert page.shares[-1].term == "18 more feature terms"
    assert sum(share.part for share in page.shares) == pytest.approx(1.0)


def test_a_trial_without_features_or_runs(trial):
    page = trial_page(trial([], recipe=Recipe().to_json()))
    assert (page.mapping, page.curves, page.shares) == (None, None, ())
    assert dict(page.recipe)["feature_share"] == "0"
