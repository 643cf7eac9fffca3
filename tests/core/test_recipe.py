import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.core.errors import MappingError
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe

MAPPING = LayerMapping((Pair("blocks.0", "layers.1", 1.0), Pair("blocks.0", "layers.2", 0.25)))
SHARES = st.floats(min_value=0, max_value=1, exclude_min=True)


@st.composite
def recipes(draw):
    return Recipe(
        mapping=MAPPING,
        loss=draw(st.sampled_from(["nmse", "cosine", "attention"])),
        projector=draw(st.sampled_from(["linear", "none"])),
        aggregation=draw(st.sampled_from(["sum", "fuse", "mix"])),
        balance=draw(st.sampled_from(["frozen", "uncertainty", "gate"])),
        feature_share=draw(SHARES),
        task_weight=draw(st.floats(min_value=0, max_value=10)),
        output_loss=draw(st.sampled_from(["kl", "dkd"])),
        output_weight=draw(st.floats(min_value=0, max_value=10) | st.integers(0, 10)),
        temperature=draw(st.floats(min_value=0, max_value=100, exclude_min=True) | st.integers(1, 100)),
        anneal=draw(SHARES),
    )


@given(recipes())
def test_json_gives_the_same_recipe_back(recipe):
    back = Recipe.from_json(json.loads(json.dumps(recipe.to_json())))
    assert back == recipe
    assert back.fingerprint == recipe.fingerprint


@given(recipes(), recipes())
def test_fingerprints_are_equal_for_equal_recipes_only(one, other):
    assert (one.fingerprint == other.fingerprint) == (one == other)


def test_a_recipe_written_before_features_could_end_is_the_same_recipe():
    recipe = Recipe(MAPPING, feature_share=0.8)
    old = {key: value for key, value in recipe.to_json().items() if key != "features_until"}
    assert Recipe.from_json(old).fingerprint == recipe.fingerprint
    assert recipe.acting_until(0.5).fingerprint != recipe.fingerprint
    assert Recipe.from_json(recipe.acting_until(0.5).to_json()) == recipe.acting_until(0.5)


def test_features_end_at_the_earlier_of_two_fractions_and_where_there_are_some():
    recipe = Recipe(MAPPING, feature_share=0.8)
    assert [recipe.acting_until(a).acting_until(b).features_until for a, b in ((0.5, 0.7), (0.7, 0.5))] == [0.5, 0.5]
    assert Recipe(output_weight=1.0).acting_until(0.5) == Recipe(output_weight=1.0)


@pytest.mark.parametrize("fields", [{"feature_share": 1.0}, {"feature_share": 0.5, "task_weight": 0.0}])
def test_something_must_teach_after_the_features(fields):
    with pytest.raises(MappingError, match=r"nothing would teach after 0\.5"):
        Recipe(MAPPING, **fields).acting_until(0.5)


def test_a_recipe_written_before_balances_is_the_same_recipe():
    recipe = Recipe(MAPPING, feature_share=0.8, output_weight=1, temperature=4)
    old = {key: value for key, value in recipe.to_json().items() if key != "balance"}
    assert Recipe.from_json(old) == recipe


def test_a_recipe_written_under_the_names_of_logits_is_the_same_recipe():
    old = {"logit_loss": "dkd", "logit_weight": 2.0, "temperature": 4.0}
    assert Recipe.from_json(old) == Recipe(output_loss="dkd", output_weight=2.0, temperature=4.0)


def test_a_recipe_sums_pairs_and_mixes_rows():
    assert [term.name for term in Recipe(MAPPING, feature_share=0.5).feature_terms] == [
        "blocks.0 <- layers.1", "blocks.0 <- layers.2",
    ]  # fmt: skip
    for aggregation in ("fuse", "mix"):
        (term,) = Recipe(MAPPING, aggregation=aggregation, feature_share=0.5).feature_terms
        assert term.name == "blocks.0 <- layers.1 + layers.2"


def test_whole_numbers_and_signed_zeros_do_not_change_the_fingerprint():
    assert Recipe(output_weight=1, feature_share=-0.0).fingerprint == Recipe(output_weight=1.0).fingerprint


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("feature_share", 1.01, "0 <= feature_share <= 1"),
        ("feature_share", -0.1, "0 <= feature_share <= 1"),
        ("task_weight", -1, "0 <= task_weight"),
        ("output_weight", math.inf, "0 <= output_weight"),
        ("output_weight", math.nan, "0 <= output_weight"),
        ("temperature", 0, "0 < temperature <= 100"),
        ("temperature", 101, "0 < temperature <= 100"),
        ("temperature", True, "0 < temperature <= 100"),
        ("temperature", "2", "0 < temperature <= 100"),
        ("anneal", 0, "0 < anneal <= 1"),
        ("anneal", 1.5, "0 < anneal <= 1"),
    ],
)
def test_a_value_out_of_its_range_is_refused_with_the_rule(field, value, rule):
    with pytest.raises(MappingError, match=f"`{field}` must satisfy {rule}"):
        Recipe(**{field: value})


def test_an_unknown_name_is_refused_with_close_matches():
    with pytest.raises(MappingError, match=r"`loss`.*nmse, mse, .*'cosin'.*`cosine`"):
        Recipe(loss="cosin")


def test_an_unknown_key_is_refused_with_close_matches():
    with pytest.raises(MappingError, match=r"`temprature`.*`temperature`"):
        Recipe.from_json({"temprature": 2.0})


def test_all_problems_are_told_at_once():
    with pytest.raises(MappingError, match=r"`feature_share`(?s:.*)`anneal`(?s:.*)`aggregation`"):
        Recipe(feature_share=2, anneal=0, aggregation="mean")


@pytest.mark.parametrize("fields", [{"mapping": MAPPING}, {"feature_share": 0.5}])
def test_a_share_without_pairs_and_pairs_without_a_share_are_refused(fields):
    with pytest.raises(MappingError, match="feature_share > 0"):
        Recipe(**fields)


def test_a_recipe_knows_whether_it_needs_the_teacher():
    logits, features = Recipe(output_weight=1.0), Recipe(MAPPING, feature_share=1.0, output_weight=1.0)
    assert (Recipe().uses_outputs, Recipe().uses_teacher) == (False, False)
    assert (logits.uses_outputs, logits.uses_teacher) == (True, True)
    assert (features.uses_outputs, features.uses_teacher) == (False, True)


def test_a_recipe_reads_as_one_line():
    recipe = Recipe(MAPPING, feature_share=0.8, output_weight=1, temperature=4)
    assert str(recipe) == "blocks.0 <- layers.1 (80 %) + layers.2 (20 %) (nmse, share 0.8), outputs kl 1, temperature 4"
    assert str(Recipe()) == "task only"
    mixed = Recipe(MAPPING, aggregation="mix", balance="gate", feature_share=0.8)
    assert str(mixed) == "blocks.0 <- layers.1 (80 %) + layers.2 (20 %) (nmse, mix, share 0.8), balance gate"
    assert str(Recipe(output_weight=1, output_loss="dkd")) == "outputs dkd 1, temperature 1"


def test_a_recipe_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError, match="loss"):
        Recipe().loss = "cosine"


def test_a_notebook_shows_the_mapping_and_what_is_not_default():
    shown = Recipe(LayerMapping((("s", "t", 1.0),)), feature_share=0.5, temperature=2.0)._repr_html_()
    assert "100 %" in shown
    assert "temperature" in shown
    assert "output_weight" not in shown
