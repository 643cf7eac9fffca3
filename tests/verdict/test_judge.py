from statistics import mean

import pytest

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial
from mapsearch.verdict.judge import judge, judge_controls

SEEDS = range(6)
MAPPED = Recipe(LayerMapping((Pair("s", "t", 1.0),)), feature_share=0.5, output_weight=1.0)
TRIALS = [
    Trial(0, "control", Recipe(), control="none"),
    Trial(1, "control", Recipe(output_weight=1.0), control="outputs"),
    Trial(2, "matched", MAPPED, control="uniform"),
    Trial(3, "curve", MAPPED),
]
CONTROLS = {"none": 0, "outputs": 1, "uniform": 2}
WOBBLE = [0.011, -0.008, 0.003, -0.012, 0.007, -0.001]
"""Seed noise with a standard deviation of about 0.009."""


def by_seed(values):
    return dict(enumerate(values))


def one(differences, band=0.01):
    """The comparison with a single control."""
    control = dict.fromkeys(range(len(differences)), 0.5)
    (row,) = judge_controls({s: 0.5 + d for s, d in enumerate(differences)}, {"none": control}, {"none": 0}, band)
    return row


def verdict(values, direction="maximize", margin=None, controls=CONTROLS, nominee=3):
    """Judge trials given as number -> values by seed."""
    runs = [
        Run(number, 2, seed, "confirm", "test", 10, "complete", 1, value, None)
        for number, row in values.items()
        for seed, value in enumerate(row)
    ]
    return judge(TRIALS, runs, nominee, controls, direction, None, margin)


def around(level, effect=1.0):
    return [level + effect * w for w in WOBBLE]


@pytest.mark.parametrize("n", [2, 5, 6, 8])
def test_differences_of_one_sign_reach_the_smallest_p(n):
    assert one([0.1 + 0.01 * i for i in range(n)]).p_value == pytest.approx(2 / 2**n)
    assert one([0.1] * n).p_value == pytest.approx(2 / 2**n)


def test_six_seeds_can_beat_and_five_never():
    for size in (0.1, 1e6):
        assert one([size * (1 + 0.1 * i) for i in range(6)]).outcome == "BEATS"
        assert one([size * (1 + 0.1 * i) for i in range(5)]).outcome == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("differences", "band", "outcome"),
    [
        (around(0.05), 0.01, "BEATS"),
        (around(-0.05), 0.01, "WORSE"),
        (around(0.0), 0.02, "TIES"),
        (around(0.0, 10), 0.02, "INCONCLUSIVE"),
        ([0.0] * 6, 0.0, "TIES"),
        ([0.0] * 2, 0.01, "INCONCLUSIVE"),
        ([0.02] * 6, 0.01, "BEATS"),
        ([-0.02] * 6, 0.01, "WORSE"),
    ],
)
def test_outcomes(differences, band, outcome):
    row = one(differences, band)
    assert row.outcome == outcome
    assert row.low <= row.difference <= row.high
    assert row.difference == pytest.approx(mean(differences))
    assert row.n_seeds == len(differences)


def test_only_seeds_that_both_have_finished_are_paired():
    nominee = by_seed(around(0.9))
    control = dict.fromkeys((0, 2, 3, 4, 5, 77), 0.5)
    (row,) = judge_controls(nominee, {"none": control}, {"none": 0}, 0.01)
    assert row.n_seeds == 5
    assert row.outcome == "INCONCLUSIVE"
    assert row.difference == pytest.approx(mean(nominee[s] - 0.5 for s in (0, 2, 3, 4, 5)))
    assert judge_controls(nominee, {"none": {0: 0.5}}, {"none": 0}, 0.01) == ()


def test_controls_with_different_seeds_are_adjusted_together():
    nominee = by_seed(around(0.9))
    controls = {"full": by_seed([0.5] * 6), "part": dict.fromkeys(range(4), 0.5)}
    rows = {row.control: row for row in judge_controls(nominee, controls, {"full": 0, "part": 1}, 0.01)}
    assert rows["full"].outcome == "BEATS"
    assert rows["part"].outcome == "INCONCLUSIVE"
    assert rows["part"].p_value >= 2 / 2**4


def test_a_mapping_that_wins_is_recommended_in_words():
    found = verdict({0: around(0.5), 1: around(0.6), 2: around(0.7), 3: around(0.9, 1.5)})
    assert "BEATS none (+0.4), outputs (+0.3), uniform (+0.2)" in found.sentence
    assert "recommended: trial 3 " in found.sentence
    assert (found.nominee, found.recommended, found.warnings) == (3, 3, ())
    assert [row.trial for row in found.against] == [0, 1, 2]


def test_logits_that_tie_are_cheaper_and_recommended():
    found = verdict({0: around(0.5), 1: around(0.702, 1.2), 2: around(0.7), 3: around(0.703, 1.5)})
    outcomes = {row.control: row.outcome for row in found.against}
    assert outcomes == {"none": "BEATS", "outputs": "TIES", "uniform": "TIES"}
    assert found.recommended == 1
    assert "BEATS none (+0.203); TIES outputs" in found.sentence
    assert "recommended: trial 1 " in found.sentence


def test_a_control_the_nominee_beats_is_never_recommended():
    """Its mean lies inside the wide band, and yet it loses on every seed."""
    values = {1: around(0.70, 10), 3: [v + 0.01 + 0.001 * i for i, v in enumerate(around(0.70, 10))]}
    found = verdict(values, margin=None, controls={"outputs": 1})
    assert found.against[0].outcome == "BEATS"
    assert found.recommended == 3


def test_a_nominee_that_loses_says_so():
    found = verdict({0: around(0.5), 1: around(0.9), 3: around(0.7, 1.5)}, controls={"none": 0, "outputs": 1})
    assert "BEATS none (+0.2); is WORSE than outputs (-0.2)" in found.sentence
    assert found.recommended == 1


def test_noise_larger_than_the_effect_is_inconclusive():
    found = verdict({1: around(0.7, 10), 3: around(0.72, -9)}, controls={"outputs": 1}, margin=0.01)
    assert "is INCONCLUSIVE against outputs (+0.02)" in found.sentence


def test_a_metric_to_minimise_is_judged_in_its_good_direction():
    found = verdict(
        {0: around(0.9), 1: around(0.7, 1.2), 3: around(0.5, 1.5)}, "minimize", controls={"none": 0, "outputs": 1}
    )
    assert [row.outcome for row in found.against] == ["BEATS", "BEATS"]
    assert found.against[0].difference == pytest.approx(0.4)
    assert found.recommended == 3
    assert verdict({1: around(0.5), 3: around(0.7, 1.5)}, "minimize", controls={"outputs": 1}).recommended == 1


def test_without_a_confirmed_mapping_the_cheapest_control_is_recommended():
    for nominee in (None, 3):
        found = verdict({0: around(0.5), 1: around(0.7)}, nominee=nominee)
        assert found.sentence.startswith("INCONCLUSIVE")
        assert "recommended: trial 1 " in found.sentence
        assert (found.nominee, found.against) == (None, ())
    assert verdict({}).recommended is None


def test_a_single_seed_is_inconclusive():
    found = verdict({1: [0.5], 3: [0.9]}, controls={"outputs": 1})
    assert found.sentence.startswith("INCONCLUSIVE")


def test_controls_that_could_not_be_compared_are_told():
    found = verdict({1: around(0.5), 2: [0.5], 3: around(0.9, 1.5)})
    assert [row.control for row in found.against] == ["outputs"]
    (warning,) = found.warnings
    assert "`none`, `uniform`" in warning


def test_the_nominee_is_not_its_own_control():
    found = verdict({1: around(0.5), 2: around(0.9, 1.5)}, controls={"outputs": 1, "uniform": 2}, nominee=2)
    assert [row.control for row in found.against] == ["outputs"]
    assert found.warnings == ()


def test_only_complete_runs_of_the_confirm_stage_count():
    runs = [
        Run(3, 2, 0, "confirm", "test", 10, "diverged", 1, None, None),
        Run(3, 0, 0, "search", "valid", 10, "complete", 1, 0.9, None),
        Run(1, 2, 0, "confirm", "test", 10, "complete", 1, 0.5, None),
    ]
    assert judge(TRIALS, runs, 3, CONTROLS, "maximize", None, None, ["a note"]).recommended == 1


def test_a_margin_that_was_given_makes_small_differences_ties():
    nominee = {seed: 0.9 + 0.001 * seed for seed in range(6)}
    control = {seed: value - 0.01 - 0.0001 * seed for seed, value in nominee.items()}
    (free,) = judge_controls(nominee, {"uniform": control}, {"uniform": 3}, band=0.02)
    (tied,) = judge_controls(nominee, {"uniform": control}, {"uniform": 3}, band=0.02, margin=0.02)
    assert (free.outcome, tied.outcome) == ("BEATS", "TIES")


def test_a_nominee_that_failed_on_a_fresh_seed_beats_nobody_and_is_not_recommended():
    good = [
        Run(number, 2, seed, "confirm", "test", 10, "complete", 1, level + WOBBLE[seed], None)
        for number, level in ((0, 0.5), (3, 0.9))
        for seed in SEEDS
    ]
    diverged = Run(3, 2, 99, "confirm", "test", 10, "diverged", 1, None, None)
    assert judge(TRIALS, good, 3, {"none": 0}, "maximize", None, None).recommended == 3
    found = judge(TRIALS, [*good, diverged], 3, {"none": 0}, "maximize", None, None)
    assert (found.nominee, found.recommended, found.against) == (None, 0, ())
    assert "trial 3) failed" in found.warnings[0]


def test_one_unsteady_recipe_does_not_make_everything_a_tie():
    found = verdict({0: around(0.5, 20), 1: around(0.7, 0.1), 2: around(0.7, 0.1), 3: around(0.72, 0.1)})
    assert [row.outcome for row in found.against if row.control in ("outputs", "uniform")] == ["BEATS", "BEATS"]
