import pytest

from benchmarks.end_to_end import outcome, page


@pytest.mark.parametrize(
    ("nominee", "word", "better"),
    [
        ([0.9, 0.92, 0.91], "HELPS", "uniform"),
        ([0.7, 0.72, 0.71], "HARMS", "uniform"),
        ([0.81, 0.83, 0.82], "NOTHING", "uniform"),  # less than the margin
        ([0.99, 0.82, 0.9], "NOTHING", "uniform"),  # the interval holds zero
    ],
)
def test_the_thresholds_are_held_against_the_better_rival(nominee, word, better):
    values = {"nominee": nominee, "outputs": [0.5, 0.6, 0.7], "uniform": [0.8, 0.82, 0.81]}
    found = outcome(values, 0.02)
    assert found[:2] == (word, better)


def test_the_page_says_who_won_and_at_what_price():
    values = {"nominee": [0.9, 0.92], "recommended": [0.9, 0.92], "outputs": [0.5, 0.6], "uniform": [0.8, 0.83]}
    word, better, gain = outcome(values, 0.02)
    found = {
        "pair": "x", "full runs": 30.0, "proposals": 17, "decision": "use_features", "outcome": word, "margin": 0.02,
        "better rival": better, "gain": gain, "values": values, "recipes": dict.fromkeys(values, "a recipe"),
    }  # fmt: skip
    text = page(found)
    assert "HELPS: nominee minus `uniform`" in text
    assert "+0.0950" in text
    assert "| outputs | a recipe | 0.5500 |" in text
