from mapsearch import search
from mapsearch.core.spec import StudySpec


def forecast_spec(**keys):
    return StudySpec(name="s", task="task.py:T", **keys)


def test_the_runs_of_every_stage_are_known_beforehand():
    assert [(s.stage, s.n_runs, s.n_steps) for s in search.forecast_stages(forecast_spec())] == [
        ("tune", 16, 45), ("tune", 6 + 12, 120), ("noise", 10, 45), ("search", 53, 45), ("shortlist", 8 + 4, 120),
        ("shortlist", 6 + 2, 300), ("confirm", 4 * 8 + 11 * 2, 300),
    ]  # fmt: skip


def test_a_stated_margin_need_not_be_measured():
    runs = {s.n_steps: s.n_runs for s in search.forecast_stages(forecast_spec(margin=0.01)) if s.stage == "shortlist"}
    assert runs[300] == 6


def test_noise_runs_that_the_search_does_anyway_are_not_counted_twice():
    stages = {s.stage: s.n_runs for s in search.forecast_stages(forecast_spec(search={"seeds": 4, "noise_seeds": 3}))}
    assert stages["noise"] == 0
    assert stages["search"] == 53 * 4
