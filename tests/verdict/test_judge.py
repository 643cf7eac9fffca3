import pytest

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict
from mapsearch.verdict.confirmed import DIVERGED
from mapsearch.verdict.judge import Case, judge

SEEDS = list(range(14))
MAPPED = Recipe(LayerMapping((Pair("s", "t", 1.0),)), feature_share=0.5, output_weight=1.0)
TRIALS = {
    "nominee": Trial(3, "curve", MAPPED),
    "none": Trial(0, "control", Recipe(), control="none"),
    "outputs": Trial(1, "control", Recipe(output_weight=1.0), control="outputs"),
    "uniform": Trial(2, "matched", MAPPED, control="uniform"),
}
LAST = Trial(4, "matched", MAPPED, control="last")
WOBBLE = [0.011, -0.008, 0.003, -0.012, 0.007, -0.001, 0.004, -0.004, 0.009, -0.009, 0.001, 0.006, -0.006, 0.0]


def values(n=14, **levels):
    """The metric by trial and seed: a level, and noise that each trial has in an order of its own."""
    noise = {name: WOBBLE[i:] + WOBBLE[:i] for i, name in enumerate(("nominee", "none", "outputs", "uniform", "last"))}
    numbers = {name: trial.number for name, trial in TRIALS.items()} | {"last": LAST.number}
    return {numbers[name]: {s: level + noise[name][s] for s in SEEDS[:n]} for name, level in levels.items()}


def verdict(found, names=tuple(TRIALS), margin=0.01, **case):
    trials = {name: TRIALS[name] for name in names}
    return judge(Case("study", trials, margin, "as stated", 14, **case), found, SEEDS)


@pytest.mark.parametrize(
    ("levels", "decision", "recommended"),
    [
        ({"nominee": 0.9, "none": 0.3, "outputs": 0.7, "uniform": 0.8}, "use_features", 3),
        ({"nominee": 0.9, "none": 0.3, "outputs": 0.7, "uniform": 0.9}, "use_features", 2),
        ({"nominee": 0.9, "none": 0.3, "outputs": 0.7, "uniform": 0.95}, "use_features", 2),
        ({"nominee": 0.7, "none": 0.3, "outputs": 0.7, "uniform": 0.7}, "use_outputs", 1),
        ({"nominee": 0.6, "none": 0.3, "outputs": 0.7, "uniform": 0.7}, "use_outputs", 1),
        ({"nominee": 0.2, "none": 0.3, "outputs": 0.7, "uniform": 0.7}, "use_outputs", 1),
        ({"nominee": 0.2, "none": 0.3, "outputs": 0.2, "uniform": 0.7}, "use_none", 0),
        ({"nominee": 0.3, "none": 0.3, "outputs": 0.3, "uniform": 0.3}, "use_none", 0),
    ],
)
def test_what_is_used_and_why(levels, decision, recommended):
    found = verdict(values(**levels), margin=0.02)
    assert (found.decision, found.recommended) == (decision, recommended)
    assert found.nominee == 3
    assert "margin 0.02" in found.sentence


def test_nothing_is_recommended_without_evidence_and_the_way_on_is_told():
    found = verdict(values(nominee=0.305, none=0.3, outputs=0.3, uniform=0.3), margin=0.001)
    assert (found.decision, found.recommended) == ("undecided", None)
    assert found.sentence.startswith("undecided")
    n = found.seeds_to_settle
    assert n is not None
    assert n > 14
    assert f"`mapsearch confirm study --seeds {n}`" in found.sentence or "more than 50" in found.sentence


def test_features_that_win_with_an_open_mapping_say_so():
    found = verdict(values(nominee=0.9, none=0.3, outputs=0.7, uniform=0.897), margin=0.001)
    assert found.decision == "use_features"
    assert "which mapping is not settled" in found.sentence


def test_where_nothing_learned_nothing_is_recommended():
    found = verdict(values(nominee=0.3, none=0.3, outputs=0.3, uniform=0.3), margin=0.02, baseline=0.3)
    assert (found.decision, found.recommended) == ("nothing_learned", None)
    assert "nothing learned" in found.sentence
    assert "`train.lr`" in found.sentence


def test_a_question_that_was_not_asked_says_why():
    found = verdict(values(nominee=0.7, none=0.3, outputs=0.7), margin=0.02)
    (uniform,) = [q for q in found.questions if q.control == "uniform"]
    assert not uniform.asked
    assert "features must beat `none` and `outputs` first" in uniform.why_not
    own = verdict(
        values(nominee=0.9, none=0.3, outputs=0.7), names=("nominee", "none", "outputs"),
        unasked={"uniform": "the nominee's mapping is the uniform one"},
    )  # fmt: skip
    assert "uniform one" in own.questions[2].why_not
    assert own.decision == "use_features"


def test_other_controls_are_context_without_an_outcome():
    found = values(nominee=0.9, none=0.3, outputs=0.7, uniform=0.8) | values(n=2, last=0.85)
    row = verdict(found, context={"last": LAST}).against[-1]
    assert (row.control, row.trial, row.outcome, row.low, row.n_seeds) == ("last", 4, None, None, 2)
    assert row.difference == pytest.approx(0.05, abs=0.02)


def test_a_control_that_trains_for_longer_says_for_how_many_steps():
    found = values(nominee=0.9, none=0.3, outputs=0.7, uniform=0.8) | values(n=2, last=0.85)
    rows = {
        row.control: row.n_steps for row in verdict(found, context={"longer": LAST}, n_steps={"longer": 420}).against
    }
    assert (rows["longer"], rows["outputs"]) == (420, None)


def test_a_seed_far_apart_is_named():
    found = values(nominee=0.9, none=0.3, outputs=0.7, uniform=0.8)
    found[3][2] = 0.1
    assert any("seed 2 stands far apart" in warning for warning in verdict(found).warnings)


def test_a_diverged_run_widens_the_interval_and_is_named():
    found = values(nominee=0.9, none=0.3, outputs=0.7, uniform=0.8) | values(n=2, last=0.85)
    steady = verdict(found, context={"last": LAST})
    found[3][1] = found[4][1] = DIVERGED
    shaken = verdict(found, context={"last": LAST})
    assert shaken.questions[1].high - shaken.questions[1].low > steady.questions[1].high - steady.questions[1].low
    assert any("seed 1 stands far apart" in warning for warning in shaken.warnings)
    assert all(abs(row.difference) < 1 for row in shaken.against)


def test_a_verdict_is_the_same_after_json():
    found = verdict(values(nominee=0.9, none=0.3, outputs=0.7, uniform=0.8), context={"last": LAST})
    assert Verdict.from_json(found.to_json()) == found


def test_a_verdict_of_an_earlier_version_is_read():
    old = {
        "sentence": "it TIES", "nominee": 1, "recommended": 0, "warnings": [], "against": [],
        "noise": {"seed_sd": 0.1, "mapping_sd": 0.0, "flat": True},
    }  # fmt: skip
    assert Verdict.from_json(old).questions == ()
    assert Verdict.from_json(old).margin is None
