from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Against
from mapsearch.verdict.wording import recommendation, verdict_sentence

MAPPED = Recipe(LayerMapping([("s", "t", 1.0)]), feature_share=0.5)
SEARCHED, BY_HAND, LOGITS = (
    Trial(3, "curve", MAPPED),
    Trial(2, "matched", MAPPED, "uniform"),
    Trial(1, "control", Recipe(output_weight=1.0), "outputs"),
)


def against(control, outcome, difference):
    return Against(control, 0, outcome, difference, difference, difference, 0.03, 6)


def test_controls_are_named_by_outcome_with_the_gain():
    rows = [
        against("none", "BEATS", 0.4), against("last", "WORSE", -0.2), against("outputs", "TIES", 0.0),
        against("first", "BEATS", 0.3), against("all", "INCONCLUSIVE", 0.01),
    ]  # fmt: skip
    assert verdict_sentence(SEARCHED, rows) == (
        "the best searched mapping (trial 3) BEATS none (+0.4), first (+0.3); TIES outputs (+0); "
        "is WORSE than last (-0.2); is INCONCLUSIVE against all (+0.01)"
    )
    assert verdict_sentence(BY_HAND, rows[:1]) == "the hand-made mapping `uniform` (trial 2) BEATS none (+0.4)"


def test_a_recommendation_names_the_trial_and_says_when_features_are_not_worth_it():
    trials = {trial.number: trial for trial in (SEARCHED, BY_HAND, LOGITS)}
    assert "trial 3 (s <- t" in recommendation(trials, 3)
    assert "trial 2 (uniform, s <- t" in recommendation(trials, 2)
    assert "no mapping is worth" in recommendation(trials, 1)
    assert "worth" not in recommendation(trials, 3)
    assert "nothing" in recommendation(trials, None)
