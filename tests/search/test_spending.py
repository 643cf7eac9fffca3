import numpy as np
import pytest
from search_samples import SPEC, run

from mapsearch import search
from mapsearch.core.looks import LOOKS, VISIBLE_GAIN
from mapsearch.core.search_spec import ConfirmSpec
from mapsearch.verdict.looks import C


def spec(budget, seeds=14):
    return SPEC.model_copy(update={"budget": budget, "confirm": ConfirmSpec(seeds=seeds)})


@pytest.mark.parametrize(
    ("budget", "seeds", "before", "n"),
    [
        ("standard", 14, 0, 14), ("standard", 100, 0, 18), ("standard", 14, 33, 8), ("standard", 14, 59, 4),
        ("quick", 14, 0, 8), ("quick", 14, 13, 4), (300, 100, 0, 100), (300, 7, 0, 8), ("thorough", 14, 33, 14),
    ],
)  # fmt: skip
def test_the_budget_that_is_left_pays_for_fresh_seeds(budget, seeds, before, n):
    assert search.n_seeds_affordable(spec(budget, seeds), before) == n


def test_what_is_spent_counts_every_run_that_ended_in_full_runs():
    runs = [run(0), run(1), run(2, state="crashed"), run(3, state="waiting")]
    assert search.spent(SPEC, runs) == pytest.approx(3 * 10 / 300)


def test_what_the_budget_can_see_is_told_beforehand():
    stages = search.forecast_stages(SPEC)
    told = search.budget_sentence(SPEC, stages)
    assert "a budget of 60 full runs leaves up to 8 fresh seeds" in told
    assert "a gain of 1.5 standard deviations" in told
    assert "leaves up to 14 fresh seeds" in search.budget_sentence(spec("thorough"), stages)


def test_the_visible_gain_is_called_a_win_four_times_in_five():
    rng, n_paths = np.random.default_rng(0), 4000
    for n_max in (4, 8, 14, 30):
        paths = rng.standard_normal((n_paths, n_max)) + VISIBLE_GAIN[n_max]
        won = np.zeros(n_paths, bool)
        for n in (n for n in LOOKS if n <= n_max):
            d = paths[:, :n]
            won |= d.mean(1) > C[n] * d.std(1, ddof=1) / n**0.5
        assert won.mean() == pytest.approx(0.8, abs=0.03)
