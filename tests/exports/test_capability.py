"""What of a recipe a target cannot express: only what this recipe uses is compared."""

import re
from dataclasses import replace

import pytest

from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.outputs import Outputs
from mapsearch.core.recipe import Recipe
from mapsearch.exports.capability import EVERYTHING, restricted_to, unsupported
from mapsearch.exports.source import ExportSource, multipliers

LAYERS = {
    "student": tuple(Layer(f"s{i}", "Block", "map", (4, 8, 8), 1) for i in range(2)),
    "teacher": tuple(Layer(f"t{i}", "Block", "map", (width, 8, 8), 1) for i, width in enumerate((6, 6, 9))),
}
ONE, TWO, MANY = [("s0", "t0", 1.0)], [("s0", "t0", 1.0), ("s1", "t1", 3.0)], [("s0", "t0", 1.0), ("s0", "t1", 1.0)]
WIDE = [("s0", "t0", 1.0), ("s1", "t2", 1.0)]


def source(pairs=ONE, layers=LAYERS, scales=None, **fields):
    mapping = LayerMapping(tuple(Pair(*pair) for pair in pairs))
    shared = {"feature_share": 0.5, "task_weight": 2.0} if pairs else {}
    recipe = Recipe(mapping, **{**shared, "anneal": None, **fields})
    used = {path for pair in pairs for path in pair[:2]}
    chosen = [tuple(x for x in layers[side] if x.path in used) for side in ("student", "teacher")]
    scales = scales or (1.0,) * len(recipe.feature_terms)
    return ExportSource("tiny", 3, recipe, *chosen, scales, (), (), 0, 9, 1.0, "", "accuracy", (0.5,), "0", "2")


def sentences(given, **limits):
    return [(one.sentence, one.fatal) for one in unsupported(given, replace(EVERYTHING, **limits))]


ROWS = [
    (
        source(TWO),
        {"weights": "normalised"},
        "the multipliers 0.125, 0.375, .* one for all: 0.25",
    ),
    (source(), {"weights": "dropped"}, "the multipliers 0.5, but the target sets the size"),
    (source(anneal=0.5), {"anneal": False}, "fades to zero at 0.5 of the training"),
    (source(features_until=0.5), {"anneal": False}, "features teach up to 0.5 of the training"),
    (source(task_weight=1.0), {"task_weight": False}, "the task's loss has the multiplier 0.5"),
    (source(balance="gate"), {"balances": frozenset({"frozen"})}, "`balance: gate` changes the weights"),
    (source(TWO), {"projector": "shared"}, "each of the 2 terms has a projector, .* used by all pairs"),
    (source(), {"projector": "untrained"}, "the projectors learn, but in the target"),
    (
        source(output_weight=1.0),
        {"output_losses": frozenset()},
        "outputs are matched with weight 1, but not in the target",
    ),
    (source(output_weight=1.0, temperature=4.0), {"temperature": False}, "the temperature is 4, .* uses 1"),
]
FATAL = [
    (
        source(loss="vid"),
        {"losses": frozenset({"mse", "cosine"})},
        "feature loss is `vid`, .* supports cosine, mse only",
    ),
    (
        source(
            [("s0#1", "t0", 1.0)],
            layers={**LAYERS, "student": (Layer("s0#1", "Block", "map", (4, 8, 8), 1),)},
        ),
        {"addresses": False},
        "layer `s0#1` is one call of a module .* whole modules only",
    ),
    (source(MANY), {"many_to_one": "no"}, "layer `s0` is in several pairs, .* once"),
    (
        source(aggregation="fuse"),
        {"aggregations": frozenset({"sum"})},
        "the aggregation is `fuse`, .* sum only",
    ),
    (source(), {"projector": "none"}, "the projectors are `linear`, and `s0 <- t0` cannot be matched without"),
    (source(projector="mlp"), {"projectors": frozenset({"linear"})}, "the projector is `mlp`, .* linear only"),
    (source(WIDE), {"projector": "shared"}, "has one, whose pairs differ in width"),
    (source(output_weight=1.0), {"output_losses": frozenset({"dkd"})}, "the output loss is `kl`, .* supports dkd only"),
    (
        replace(source(output_weight=1.0), outputs=Outputs(class_axis=-3)),
        {"outputs": "logits"},
        "not matched as the network gives them .*axis -3",
    ),
    (
        replace(source(output_weight=1.0, output_loss="mse"), outputs=Outputs("values", mean=(1.0,), sd=(2.0,))),
        {"outputs": "logits"},
        "output - mean",
    ),
    (source(), {"kinds": frozenset({"tokens"})}, "layer `s0` is a map, .* supports tokens only"),
]


@pytest.mark.parametrize(("given", "limits", "sentence"), [*ROWS, *FATAL])
def test_what_the_recipe_uses_and_the_target_lacks_is_said(given, limits, sentence):
    found = sentences(given, **limits)
    assert re.search(sentence, found[0][0])
    assert found[0][1] == ((given, limits, sentence) in FATAL)
    assert sentences(given) == []


NARROW = {
    "losses": frozenset({"mse"}),
    "output_losses": frozenset({"dkd"}),
    "projectors": frozenset({"none"}),
    "balances": frozenset({"frozen"}),
    "many_to_one": "no",
    "weights": "normalised",
    "projector": "shared",
    "temperature": False,
    "anneal": False,
    "task_weight": False,
    "masks": False,
    "kinds": frozenset({"map"}),
}


@pytest.mark.parametrize(
    "given",
    [
        source(TWO, scales=(1.0, 3.0), loss="mse", projector="none", output_weight=0.0, temperature=4.0),
        source(ONE, loss="mse", projector="none"),
        source([], task_weight=1.0),
        source([], output_weight=1.0, output_loss="dkd"),
    ],
)
def test_what_the_recipe_does_not_use_is_not_compared(given):
    assert sentences(given, **NARROW) == []
    limits = replace(EVERYTHING, **NARROW)
    assert multipliers(restricted_to(given, limits).recipe, restricted_to(given, limits).scales) == pytest.approx(
        multipliers(given.recipe, given.scales)
    )


def test_projectors_of_losses_that_have_none_are_not_compared():
    assert sentences(source(TWO, loss="gram"), projector="none", projectors=frozenset()) == []


def test_tokens_lose_their_mask():
    tokens = {side: tuple(replace(x, kind="tokens", shape=(8, 4)) for x in found) for side, found in LAYERS.items()}
    ((sentence, fatal),) = sentences(source(layers=tokens), masks=False)
    assert "padded tokens" in sentence
    assert not fatal


def test_a_restricted_source_has_nothing_unsupported():
    given = source(TWO, scales=(1.0, 5.0), anneal=0.5, balance="gate", output_weight=1.0, temperature=2.0)
    limits = replace(
        EVERYTHING,
        weights="normalised",
        anneal=False,
        task_weight=False,
        temperature=False,
        balances=frozenset({"frozen"}),
    )
    left_out = unsupported(given, limits)
    told = restricted_to(given, limits, left_out)
    assert len(left_out) == 4
    assert unsupported(told, limits) == ()
    assert told.unsupported == tuple(one.sentence for one in left_out)
    assert all(f"unsupported: {sentence}" in told.provenance for sentence in told.unsupported)
    assert sum(multipliers(told.recipe, told.scales)) == pytest.approx(sum(multipliers(given.recipe, given.scales)))


def test_a_feature_part_sized_by_the_target_is_the_mean_of_raw_losses_times_the_share():
    given = source(TWO, scales=(1.0, 5.0))
    told = restricted_to(given, replace(EVERYTHING, weights="dropped"))
    assert multipliers(told.recipe, told.scales) == pytest.approx((0.25, 0.25))
