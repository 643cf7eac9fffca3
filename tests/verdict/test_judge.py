import itertools
import math
from statistics import mean, stdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Noise
from mapsearch.verdict.judge import adjusted_p_values, bca_interval, compare_all, estimate_noise, judge, weak_teacher

SEEDS = range(6)
MAPPED = Recipe(LayerMapping((Pair("s", "t", 1.0),)), feature_share=0.5, logit_weight=1.0)
TRIALS = [
    Trial(0, "control", Recipe(), control="none"),
    Trial(1, "control", Recipe(logit_weight=1.0), control="logits"),
    Trial(2, "matched", MAPPED, control="uniform"),
    Trial(3, "curve", MAPPED),
]
CONTROLS = {"none": 0, "logits": 1, "uniform": 2}
WOBBLE = [0.011, -0.008, 0.003, -0.012, 0.007, -0.001]
"""Seed noise with a standard deviation of about 0.009."""


def by_seed(values):
    return dict(enumerate(values))


def one(differences, band=0.01):
    """The comparison with a single control."""
    control = dict.fromkeys(range(len(differences)), 0.5)
    (row,) = compare_all({s: 0.5 + d for s, d in enumerate(differences)}, {"none": control}, {"none": 0}, band)
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


@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=2, max_size=7))
def test_the_p_value_of_one_control_is_that_of_all_sign_flips(differences):
    def t(values):
        largest = max(map(abs, values)) or 1.0
        return abs(mean(values)) / max(stdev(values), 1e-9 * largest)

    flips = list(itertools.product((1, -1), repeat=len(differences)))
    as_large = [t([s * d for s, d in zip(signs, differences, strict=True)]) >= t(differences) - 1e-9 for signs in flips]
    found = adjusted_p_values({"a": np.array(differences)}, {"a": list(range(len(differences)))})
    assert found["a"] == pytest.approx(sum(as_large) / len(flips))


@pytest.mark.parametrize("n", [2, 5, 6, 8])
def test_differences_of_one_sign_reach_the_smallest_p(n):
    assert one([0.1 + 0.01 * i for i in range(n)]).p_value == pytest.approx(2 / 2**n)
    assert one([0.1] * n).p_value == pytest.approx(2 / 2**n)


def test_six_seeds_can_beat_and_five_never():
    for size in (0.1, 1e6):
        assert one([size * (1 + 0.1 * i) for i in range(6)]).outcome == "BEATS"
        assert one([size * (1 + 0.1 * i) for i in range(5)]).outcome == "INCONCLUSIVE"


def test_adjusted_p_values_are_never_below_those_of_one_control_and_keep_their_order():
    rng = np.random.default_rng(0)
    seeds = {name: list(SEEDS) for name in "abcd"}
    for _ in range(20):
        d = {name: rng.normal(0.5 * i, 1, 6) for i, name in enumerate("abcd")}
        together = adjusted_p_values(d, seeds)
        alone = {name: adjusted_p_values({name: d[name]}, seeds)[name] for name in d}
        assert all(together[name] >= alone[name] - 1e-12 for name in d)
        t = {name: abs(x.mean()) / x.std(ddof=1) for name, x in d.items()}
        ordered = sorted(d, key=lambda name: -t[name])
        assert [together[name] for name in ordered] == sorted(together.values())


def test_family_wise_error_under_the_null():
    """10 controls that share the nominee's noise, six seeds: at most one study in twenty finds anything."""
    rng = np.random.default_rng(1)
    names = [f"c{i}" for i in range(10)]
    seeds = {name: list(SEEDS) for name in names}
    n_found = 0
    for _ in range(400):
        nominee, seed_effect = rng.normal(0, 1, 6), rng.normal(0, 1, 6)
        d = {name: (nominee + seed_effect) - (rng.normal(0, 1, 6) + seed_effect) for name in names}
        n_found += min(adjusted_p_values(d, seeds).values()) < 0.05
    assert 0 < n_found / 400 <= 0.05


def test_a_clear_effect_is_found_against_every_control():
    rng = np.random.default_rng(2)
    names = [f"c{i}" for i in range(10)]
    seeds = {name: list(SEEDS) for name in names}
    n_found = 0
    for _ in range(100):
        nominee = rng.normal(4, 1, 6)
        p = adjusted_p_values({name: nominee - rng.normal(0, 1, 6) for name in names}, seeds)
        n_found += max(p.values()) < 0.05
    assert n_found >= 80


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
    (row,) = compare_all(nominee, {"none": control}, {"none": 0}, 0.01)
    assert row.n_seeds == 5
    assert row.outcome == "INCONCLUSIVE"
    assert row.difference == pytest.approx(mean(nominee[s] - 0.5 for s in (0, 2, 3, 4, 5)))
    assert compare_all(nominee, {"none": {0: 0.5}}, {"none": 0}, 0.01) == ()


def test_controls_with_different_seeds_are_adjusted_together():
    nominee = by_seed(around(0.9))
    controls = {"full": by_seed([0.5] * 6), "part": dict.fromkeys(range(4), 0.5)}
    rows = {row.control: row for row in compare_all(nominee, controls, {"full": 0, "part": 1}, 0.01)}
    assert rows["full"].outcome == "BEATS"
    assert rows["part"].outcome == "INCONCLUSIVE"
    assert rows["part"].p_value >= 2 / 2**4


def test_the_interval_covers_the_mean_nineteen_times_in_twenty_or_nearly():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(100):
        low, high = bca_interval(rng.normal(0, 1, 16))
        covered += low <= 0 <= high
    assert 86 <= covered <= 99
    assert bca_interval(np.full(6, 0.25)) == (0.25, 0.25)
    assert bca_interval(np.array(around(0.0))) == bca_interval(np.array(around(0.0)))


def test_a_mapping_that_wins_is_recommended_in_words():
    found = verdict({0: around(0.5), 1: around(0.6), 2: around(0.7), 3: around(0.9, 1.5)})
    assert found.sentence.startswith(
        "the best searched mapping (trial 3) BEATS none (+0.4), logits (+0.3), uniform (+0.2); recommended: trial 3 ("
    )
    assert "use the cheap one" not in found.sentence
    assert (found.nominee, found.recommended, found.warnings) == (3, 3, ())
    assert [row.trial for row in found.against] == [0, 1, 2]


def test_logits_that_tie_are_cheaper_and_recommended():
    found = verdict({0: around(0.5), 1: around(0.702, 1.2), 2: around(0.7), 3: around(0.703, 1.5)})
    outcomes = {row.control: row.outcome for row in found.against}
    assert outcomes == {"none": "BEATS", "logits": "TIES", "uniform": "TIES"}
    assert found.recommended == 1
    assert "BEATS none (+0.203); TIES logits" in found.sentence
    assert found.sentence.endswith("no mapping is worth its cost here, use the cheap one")


def test_a_control_the_nominee_beats_is_never_recommended():
    """Its mean lies inside the wide band, and yet it loses on every seed."""
    values = {1: around(0.70, 10), 3: [v + 0.01 + 0.001 * i for i, v in enumerate(around(0.70, 10))]}
    found = verdict(values, margin=None, controls={"logits": 1})
    assert found.against[0].outcome == "BEATS"
    assert found.recommended == 3


def test_a_nominee_that_loses_says_so():
    found = verdict({0: around(0.5), 1: around(0.9), 3: around(0.7, 1.5)}, controls={"none": 0, "logits": 1})
    assert "BEATS none (+0.2); is WORSE than logits (-0.2)" in found.sentence
    assert found.recommended == 1


def test_noise_larger_than_the_effect_is_inconclusive():
    found = verdict({1: around(0.7, 10), 3: around(0.72, -9)}, controls={"logits": 1}, margin=0.01)
    assert "is INCONCLUSIVE against logits (+0.02)" in found.sentence


def test_a_metric_to_minimise_is_judged_in_its_good_direction():
    found = verdict(
        {0: around(0.9), 1: around(0.7, 1.2), 3: around(0.5, 1.5)}, "minimize", controls={"none": 0, "logits": 1}
    )
    assert [row.outcome for row in found.against] == ["BEATS", "BEATS"]
    assert found.against[0].difference == pytest.approx(0.4)
    assert found.recommended == 3
    assert verdict({1: around(0.5), 3: around(0.7, 1.5)}, "minimize", controls={"logits": 1}).recommended == 1


def test_without_a_confirmed_mapping_the_cheapest_control_is_recommended():
    for nominee in (None, 3):
        found = verdict({0: around(0.5), 1: around(0.7)}, nominee=nominee)
        assert found.sentence.startswith("INCONCLUSIVE: no mapping could be confirmed; recommended: trial 1 (logits, ")
        assert (found.nominee, found.against) == (None, ())
    assert verdict({}).sentence.endswith("nothing to recommend")


def test_a_single_seed_is_inconclusive():
    found = verdict({1: [0.5], 3: [0.9]}, controls={"logits": 1})
    assert found.sentence.startswith("INCONCLUSIVE")


def test_controls_that_could_not_be_compared_are_told():
    found = verdict({1: around(0.5), 2: [0.5], 3: around(0.9, 1.5)})
    assert [row.control for row in found.against] == ["logits"]
    assert found.warnings == (
        "no comparison with control `none`, `uniform`: it needs two finished seeds in common with the nominee",
    )


def test_the_nominee_is_not_its_own_control():
    found = verdict({1: around(0.5), 2: around(0.9, 1.5)}, controls={"logits": 1, "uniform": 2}, nominee=2)
    assert [row.control for row in found.against] == ["logits"]
    assert found.warnings == ()


def test_only_complete_runs_of_the_confirm_stage_count():
    runs = [
        Run(3, 2, 0, "confirm", "test", 10, "diverged", 1, None, None),
        Run(3, 0, 0, "search", "valid", 10, "complete", 1, 0.9, None),
        Run(1, 2, 0, "confirm", "test", 10, "complete", 1, 0.5, None),
    ]
    assert judge(TRIALS, runs, 3, CONTROLS, "maximize", None, None, ["a note"]).recommended == 1


def noise_values(mapping_effect, seed=0):
    rng = np.random.default_rng(seed)
    seed_effect = rng.normal(0, 1, 4)
    return {m: by_seed(mapping_effect * m + seed_effect + rng.normal(0, 0.1, 4)) for m in range(5)}


def test_noise_tells_mappings_apart_beyond_their_common_seed_effect():
    values = noise_values(0.3)
    noise = estimate_noise(values)
    assert not noise.flat
    assert noise.mapping_sd == pytest.approx(stdev([0.3 * m for m in range(5)]), rel=0.3)
    assert noise.seed_sd == pytest.approx(math.sqrt(mean(stdev(row.values()) ** 2 for row in values.values())))


def test_mappings_without_effect_are_flat_nineteen_times_in_twenty():
    flat = [estimate_noise(noise_values(0.0, seed)).flat for seed in range(300)]
    assert 0.92 <= mean(flat) <= 0.98


def test_noise_of_equal_values_is_flat_and_of_exact_differences_is_not():
    for columns in ([0.1, 0.7, 0.3], [0.83, 0.9], [1 / 3, 0.2, 0.6, 0.1]):
        noise = estimate_noise({m: by_seed(columns) for m in range(7)})
        assert (noise.flat, noise.mapping_sd) == (True, 0.0)  # and rounding does not decide
        assert noise.seed_sd == pytest.approx(stdev(columns))
    assert estimate_noise({m: by_seed([0.5, 0.5]) for m in range(3)}) == Noise(0.0, 0.0, True)
    assert not estimate_noise({m: by_seed([m + 0.1, m + 0.7]) for m in range(3)}).flat


def test_noise_needs_two_mappings_and_two_common_seeds():
    assert estimate_noise({}) is None
    assert estimate_noise({0: by_seed([0.1, 0.2])}) is None
    assert estimate_noise({0: {0: 0.1, 1: 0.2}, 1: {1: 0.1, 2: 0.2}}) is None
    assert estimate_noise({0: {0: 0.1, 1: 0.2, 9: 5.0}, 1: {1: 0.1, 0: 0.2}}) is not None


@pytest.mark.parametrize(
    ("teacher", "direction", "weak"), [(0.9, "maximize", False), (0.5, "maximize", True), (0.5, "minimize", False)]
)
def test_a_teacher_no_better_than_a_student_alone_is_told(teacher, direction, weak):
    runs = [
        Run(number, 0, 0, "tune", "valid", 10, "complete", 1, value, None) for number, value in ((0, 0.7), (1, 0.99))
    ]
    assert bool(weak_teacher(teacher, TRIALS, runs, direction)) == weak
    assert weak_teacher(math.nan, TRIALS, [], direction) == []


def test_a_margin_that_was_given_makes_small_differences_ties():
    nominee = {seed: 0.9 + 0.001 * seed for seed in range(6)}
    control = {seed: value - 0.01 - 0.0001 * seed for seed, value in nominee.items()}
    (free,) = compare_all(nominee, {"uniform": control}, {"uniform": 3}, band=0.02)
    (tied,) = compare_all(nominee, {"uniform": control}, {"uniform": 3}, band=0.02, margin=0.02)
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
    assert "trial 3) failed on some fresh seeds" in found.warnings[0]


def test_one_unsteady_recipe_does_not_make_everything_a_tie():
    found = verdict({0: around(0.5, 20), 1: around(0.7, 0.1), 2: around(0.7, 0.1), 3: around(0.72, 0.1)})
    assert [row.outcome for row in found.against if row.control in ("logits", "uniform")] == ["BEATS", "BEATS"]
