import pytest

from mapsearch import search
from mapsearch.core.spec import StudySpec


def forecast_spec(**keys):
    return StudySpec(name="s", task="task.py:T", **keys)


def test_the_runs_of_every_stage_are_known_beforehand():
    assert [(s.stage, s.n_runs, s.n_steps) for s in search.forecast_stages(forecast_spec())] == [
        ("tune", 16, 45), ("tune", 6 + 12, 120), ("noise", 10, 45), ("search", 53, 45), ("shortlist", 8 + 4, 120),
        ("shortlist", 6 + 2, 300), ("confirm", 28 + 8, 300),
    ]  # fmt: skip


@pytest.mark.parametrize("budget", [60, 80, 100, 150, 300])
def test_a_budget_is_exceeded_by_one_trial_a_look_at_most(budget):
    stages = search.forecast_stages(forecast_spec(budget=budget, search={"trials": 40}))
    n_full = sum(s.n_runs * s.n_steps for s in stages) / 300
    assert n_full <= budget + 23


def test_controls_that_the_budget_cannot_pay_are_not_counted():
    stages = {s.stage: s.n_runs for s in search.forecast_stages(forecast_spec(budget="quick"))}
    assert stages["confirm"] == 4 * 4


def test_a_stated_margin_need_not_be_measured():
    runs = {s.n_steps: s.n_runs for s in search.forecast_stages(forecast_spec(margin=0.01)) if s.stage == "shortlist"}
    assert runs[300] == 6


def test_noise_runs_that_the_search_does_anyway_are_not_counted_twice():
    stages = {s.stage: s.n_runs for s in search.forecast_stages(forecast_spec(search={"seeds": 4, "noise_seeds": 3}))}
    assert stages["noise"] == 0
    assert stages["search"] == 53 * 4
