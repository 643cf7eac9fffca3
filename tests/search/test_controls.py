from dataclasses import replace

from search_samples import PLAIN, SIMILARITY, SPACE, SPEC, mapped

from mapsearch import search
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.overheads import Overheads
from mapsearch.core.recipe import Recipe
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial


def controls(spec, space, plain, first, copied=()):
    mappings, _ = search.hand_made(spec, space, SIMILARITY, dict(copied))
    return search.control_trials(spec, space, mappings, plain, first)


def test_controls_carry_the_tuned_outputs_and_the_studys_settings():
    trials = controls(SPEC, SPACE, PLAIN, first=7)
    by_name = {t.control: t.recipe for t in trials}
    assert [t.number for t in trials] == list(range(7, 7 + len(trials)))
    assert set(by_name) == {
        "none", "outputs", "uniform", "last", "first", "reverse", "random", "all", "placebo", "article", "no_projector",
    }  # fmt: skip
    _, coinciding = search.hand_made(SPEC, SPACE, SIMILARITY, {})
    assert coinciding == {"similarity": "first"}
    for name in by_name.keys() - {"none"}:
        assert (by_name[name].output_weight, by_name[name].temperature) == (3.0, 4.0), name
    assert str(by_name["uniform"].mapping) == "s.0 <- t.1 | s.1 <- t.3"
    assert str(by_name["first"].mapping) == "s.0 <- t.0 | s.1 <- t.1"
    assert by_name["article"].mapping == by_name["uniform"].mapping
    assert (by_name["article"].feature_share, by_name["uniform"].feature_share) == (0.8, 0.5)


def test_control_shares_stay_in_the_sampled_range():
    spec = StudySpec(
        name="x", task="x.py:X", space={"feature_share": (0.6, 0.7), "anneal": (0.5,), "loss": ("cosine",)}
    )
    trials = controls(spec, SPACE, PLAIN, first=0)
    uniform = next(t.recipe for t in trials if t.control == "uniform")
    assert (uniform.feature_share, uniform.anneal, uniform.loss) == (0.6, 0.5, "cosine")


def test_a_control_whose_rows_cannot_be_mixed_is_summed():
    wide = replace(SPACE, teacher=(*SPACE.teacher[:3], Layer("t.3", "B", "vector", (16,), 1)))
    spec = StudySpec(name="x", task="x.py:X", space={"aggregation": ("fuse", "sum"), "balance": ("gate",)})
    by_name = {t.control: t.recipe for t in controls(spec, wide, PLAIN, first=0)}
    assert {name for name, recipe in by_name.items() if recipe.aggregation == "fuse"} == {
        "uniform", "last", "first", "reverse", "random", "placebo",
    }  # fmt: skip
    assert by_name["all"].aggregation == "sum"
    assert {by_name[name].balance for name in ("all", "uniform")} == {"gate"}
    assert {by_name[name].balance for name in ("none", "outputs", "article")} == {"frozen"}


def test_matched_controls_differ_from_the_nominee_in_the_mapping_alone():
    trials = controls(SPEC, SPACE, PLAIN, first=0)
    by_name = {t.control: t for t in trials}
    nominee = Recipe(by_name["last"].recipe.mapping, "cosine", feature_share=0.3, anneal=0.5, output_weight=3.0)
    matched = search.matched_trials(nominee, trials, SPACE, first=50)
    same = {t.control for t in trials if search.same_mapping(t.recipe.mapping, nominee.mapping)}
    assert "last" in same
    assert not same & {t.control for t in matched}
    numbers, own = search.verdict_controls([*trials, *matched], Trial(40, "curve", nominee))
    assert set(own) == same - {"none", "outputs", "article", "no_projector"}
    assert {*numbers, *own} == {t.control for t in trials}  # every control is there, under its twin's number at least
    *matched, twin = matched
    assert (twin.control, twin.number, twin.recipe) == (
        "no_projector",
        50 + len(matched),
        replace(nominee, projector="none"),
    )
    assert numbers["no_projector"] == twin.number
    mappings = [t.recipe.mapping for t in matched]
    assert not any(search.same_mapping(a, b) for i, a in enumerate(mappings) for b in mappings[:i])
    assert [t.number for t in matched] == list(range(50, 50 + len(matched)))
    for t in matched:
        assert t.recipe.to_json() | {"pairs": 0} == nominee.to_json() | {"pairs": 0}


def test_the_other_projector_stands_beside_a_recipe_where_widths_and_loss_allow_it():
    recipe, wide = mapped(), replace(SPACE, teacher=tuple(replace(layer, shape=(16,)) for layer in SPACE.teacher))
    assert search.other_projector(recipe, SPACE) == {"no_projector": replace(recipe, projector="none")}
    assert search.other_projector(replace(recipe, projector="none"), SPACE) == {"linear_projector": recipe}
    assert search.other_projector(recipe, wide) == {}
    assert search.other_projector(replace(recipe, loss="gram"), SPACE) == {}


def test_weights_that_students_start_from_name_a_control_whose_projector_may_fall_away():
    trials = controls(SPEC, SPACE, PLAIN, first=0, copied={"s.0": "t.0", "s.1": "t.2"})
    by_name = {t.control: t.recipe for t in trials}
    assert str(by_name["copied"].mapping) == "s.0 <- t.0 | s.1 <- t.2"
    assert by_name["no_projector"] == replace(by_name["copied"], projector="none")


def test_a_new_nominee_gets_matched_trials_of_its_own_and_is_judged_against_those():
    trials = controls(SPEC, SPACE, PLAIN, first=0)
    first, second = (replace(mapped("t.2"), output_weight=3.0, feature_share=share) for share in (0.3, 0.7))
    trials.append(Trial(len(trials), "curve", first))
    trials += search.missing_matched_trials(first, trials, SPACE)
    assert search.missing_matched_trials(first, trials, SPACE) == []
    trials.append(Trial(len(trials), "curve", second))
    nominee = trials[-1]
    new = search.missing_matched_trials(second, trials, SPACE)
    assert [t.number for t in new] == list(range(len(trials), len(trials) + len(new)))
    trials += new
    assert search.matched_to(nominee, trials) == new
    numbers, _ = search.verdict_controls(trials, nominee)
    shares = {trials[n].recipe.feature_share for n in numbers.values() if trials[n].proposer == "matched"}
    assert shares == {0.7}


def test_mappings_are_the_same_up_to_a_common_factor():
    assert search.same_mapping(mapped(weight=1.0).mapping, mapped(weight=7.0).mapping)
    assert not search.same_mapping(mapped("t.0").mapping, mapped("t.1").mapping)
    assert not search.same_mapping(mapped().mapping, LayerMapping((Pair("s.0", "t.0", 1.0), Pair("s.1", "t.3", 2.0))))


def test_outputs_get_the_nominees_time_as_steps():
    trials = controls(SPEC, SPACE, PLAIN, first=0)
    nominee = Trial(40, "curve", mapped())
    row, trial = search.equal_time(nominee, trials, Overheads({"features": 0.1, "student s.0": 0.12}), 300)
    assert (trial.control, trial.number, trial.recipe) == ("outputs_equal_time", len(trials), PLAIN["outputs"])
    assert (row.nominee, row.trial, row.n_steps) == (40, trial.number, 375), "1.22 times 300, in twentieths"
    assert search.equal_time(nominee, trials, Overheads({}), 300) is None, "it takes no longer"
    assert search.equal_time(nominee, trials, None, 300) is None
    assert search.equal_time(nominee, [], Overheads({"features": 0.1}), 300) is None
    matched = search.missing_matched_trials(nominee.recipe, [*trials, trial], SPACE)
    assert search.matched_to(nominee, [*trials, trial, *matched]) == matched


def test_controls_that_explain_a_verdict_are_paid_for_before_those_that_illustrate_it():
    trials = {name: Trial(n, "matched", mapped(), control=name) for n, name in enumerate(("last", "copied", "first"))}
    assert search.telling_first(list(trials)) == ["copied", "last", "first"]
