import pytest

from mapsearch.core.forecast import StageForecast, duration, forecast_text

STAGES = (
    StageForecast("tune", 20, 120), StageForecast("noise", 10, 45), StageForecast("search", 52, 45),
    StageForecast("shortlist", 26, 120), StageForecast("confirm", 90, 300),
)  # fmt: skip


def test_the_sentence():
    sentence = forecast_text(STAGES, step_seconds=0.01, run_seconds=0.5, n_workers=2)
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
