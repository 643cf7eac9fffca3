from dataclasses import replace

from search_samples import PLAIN, SIMILARITY, SPACE, SPEC, mapped

from mapsearch import search
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial


def test_controls_carry_the_tuned_outputs_and_the_studys_settings():
    trials = search.control_trials(SPEC, SPACE, SIMILARITY, PLAIN, first=7)
    by_name = {t.control: t.recipe for t in trials}
    assert [t.number for t in trials] == list(range(7, 7 + len(trials)))
    assert set(by_name) == {
        "none", "outputs", "uniform", "last", "first", "reverse", "random", "all",
        "similarity", "placebo", "article",
    }  # fmt: skip
    for name in by_name.keys() - {"none"}:
        assert (by_name[name].output_weight, by_name[name].temperature) == (3.0, 4.0), name
    assert str(by_name["uniform"].mapping) == "s.0 <- t.1 | s.1 <- t.3"
    assert str(by_name["similarity"].mapping) == "s.0 <- t.0 | s.1 <- t.1"
    assert by_name["article"].mapping == by_name["uniform"].mapping
    assert (by_name["article"].feature_share, by_name["uniform"].feature_share) == (0.8, 0.5)


def test_control_shares_stay_in_the_sampled_range():
    spec = StudySpec(
        name="x", task="x.py:X", space={"feature_share": (0.6, 0.7), "anneal": (0.5,), "loss": ("cosine",)}
    )
    trials = search.control_trials(spec, SPACE, SIMILARITY, PLAIN, first=0)
    uniform = next(t.recipe for t in trials if t.control == "uniform")
    assert (uniform.feature_share, uniform.anneal, uniform.loss) == (0.6, 0.5, "cosine")


def test_a_control_whose_rows_cannot_be_mixed_is_summed():
    wide = replace(SPACE, teacher=(*SPACE.teacher[:3], Layer("t.3", "B", "vector", (16,), 1)))
    spec = StudySpec(name="x", task="x.py:X", space={"aggregation": ("fuse", "sum"), "balance": ("gate",)})
    by_name = {t.control: t.recipe for t in search.control_trials(spec, wide, SIMILARITY, PLAIN, first=0)}
    assert {name for name, recipe in by_name.items() if recipe.aggregation == "fuse"} == {
        "uniform", "last", "first", "reverse", "random", "similarity", "placebo",
    }  # fmt: skip
    assert by_name["all"].aggregation == "sum"
    assert {by_name[name].balance for name in ("all", "uniform")} == {"gate"}
    assert {by_name[name].balance for name in ("none", "outputs", "article")} == {"frozen"}


def test_matched_controls_differ_from_the_nominee_in_the_mapping_alone():
    trials = search.control_trials(SPEC, SPACE, SIMILARITY, PLAIN, first=0)
    by_name = {t.control: t for t in trials}
    nominee = Recipe(by_name["last"].recipe.mapping, "cosine", feature_share=0.3, anneal=0.5, output_weight=3.0)
    matched = search.matched_trials(nominee, trials, SPACE, first=50)
    same = {t.control for t in trials if search.same_mapping(t.recipe.mapping, nominee.mapping)}
    assert "last" in same
    assert not same & {t.control for t in matched}
    numbers, own = search.verdict_controls([*trials, *matched], Trial(40, "curve", nominee))
    assert set(own) == same - {"none", "outputs", "article"}
    assert {*numbers, *own} == {t.control for t in trials}  # every control is there, under its twin's number at least
    mappings = [t.recipe.mapping for t in matched]
    assert not any(search.same_mapping(a, b) for i, a in enumerate(mappings) for b in mappings[:i])
    assert [t.number for t in matched] == list(range(50, 50 + len(matched)))
    for t in matched:
        assert t.recipe.to_json() | {"pairs": 0} == nominee.to_json() | {"pairs": 0}


def test_a_new_nominee_gets_matched_trials_of_its_own_and_is_judged_against_those():
    trials = search.control_trials(SPEC, SPACE, SIMILARITY, PLAIN, first=0)
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
