from mapsearch import search
from mapsearch.core.spec import StudySpec


def forecast_spec(**keys):
    return StudySpec(name="s", task="task.py:T", **keys)


def test_the_runs_of_every_stage_are_known_beforehand():
    stages = {s.stage: (s.n_runs, s.n_steps) for s in search.forecast_stages(forecast_spec())}
    assert stages == {
        "tune": (26, 120), "noise": (10, 45), "search": (51, 45), "shortlist": (26, 120), "confirm": (84, 300),
    }  # fmt: skip


def test_noise_runs_that_the_search_does_anyway_are_not_counted_twice():
    stages = {s.stage: s.n_runs for s in search.forecast_stages(forecast_spec(search={"seeds": 4, "noise_seeds": 3}))}
    assert stages["noise"] == 0
    assert stages["search"] == 51 * 4
