import pytest

from mapsearch.core.forecast import duration, forecast_stages, forecast_text
from mapsearch.core.spec import StudySpec


def spec(**keys):
    return StudySpec(name="s", task="task.py:T", **keys)


def test_runs_by_stage():
    stages = {s.stage: (s.n_runs, s.n_steps) for s in forecast_stages(spec())}
    assert stages == {
        "tune": (20, 120), "noise": (10, 45), "search": (52, 45), "shortlist": (26, 120), "confirm": (90, 300),
    }  # fmt: skip


def test_noise_runs_that_the_search_does_anyway_are_not_counted_twice():
    stages = {s.stage: s.n_runs for s in forecast_stages(spec(search={"seeds": 4, "noise_seeds": 3}))}
    assert stages["noise"] == 0
    assert stages["search"] == 52 * 4


def test_the_sentence():
    sentence = forecast_text(spec(), step_seconds=0.01, run_seconds=0.5, n_workers=2)
    for part in (
        "198 runs (tune 20, noise 10, search 52, shortlist 26, confirm 90)", "45, 120, 300 steps",
        "118 full-run equivalents", "4 min on 2 workers",
    ):  # fmt: skip
        assert part in sentence


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.001, "1 s"), (59.2, "60 s"), (240, "4 min"), (5399, "90 min"), (9000, "2.5 h")]
)
def test_durations(seconds, said):
    assert duration(seconds) == said
