"""What of a recipe a target cannot express: only what this recipe uses is compared."""

import re
from dataclasses import replace

import pytest

from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.outputs import Outputs
from mapsearch.core.recipe import Recipe
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.exports.capability import FROZEN_BALANCE, Capability, restricted_to, unsupported
from mapsearch.exports.source import ExportSource

LAYERS = {
    "student": tuple(Layer(f"s{i}", "Block", "map", (4, 8, 8), 1) for i in range(2)),
    "teacher": tuple(Layer(f"t{i}", "Block", "map", (width, 8, 8), 1) for i, width in enumerate((6, 6, 9))),
}
ONE, TWO = [("s0", "t0", 1.0)], [("s0", "t0", 1.0), ("s1", "t1", 3.0)]


def source(pairs=ONE, **fields):
    mapping = LayerMapping(tuple(Pair(*pair) for pair in pairs))
    shared = {"feature_share": 0.5, "task_weight": 2.0} if pairs else {}
    recipe = Recipe(mapping, **{**shared, "anneal": None, **fields})
    used = {path for pair in pairs for path in pair[:2]}
    chosen = [tuple(x for x in LAYERS[side] if x.path in used) for side in ("student", "teacher")]
    scales = (1.0,) * len(recipe.feature_terms)
    settings = TrainingSettings(task="task.py:Net", metric="accuracy", direction="maximize")
    numbers = (scales, (), (), 0, 9, 1.0, "", "accuracy", (0.5,), "0", "2")
    return ExportSource("tiny", 3, recipe, *chosen, *numbers, settings=settings)


def sentences(given, **limits):
    return [(one.sentence, one.fatal) for one in unsupported(given, Capability(**limits))]


ROWS = [
    (source(balance="gate"), {"balances": FROZEN_BALANCE}, "`balance: gate` changes the weights"),
]
FATAL = [
    (
        replace(source(), outputs=Outputs(from_decoder=True)),
        {"masks_by_layer": False},
        "encoder and decoder have a mask of padding each, but the target has one",
    ),
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
]


@pytest.mark.parametrize(("given", "limits", "sentence"), [*ROWS, *FATAL])
def test_what_the_recipe_uses_and_the_target_lacks_is_said(given, limits, sentence):
    found = sentences(given, **limits)
    assert re.search(sentence, found[0][0])
    assert found[0][1] == ((given, limits, sentence) in FATAL)
    assert sentences(given) == []


NARROW = Capability(balances=FROZEN_BALANCE, outputs="logits", masks_by_layer=False)


@pytest.mark.parametrize(
    "given",
    [
        source(TWO, output_weight=1.0),
        replace(source(ONE, output_weight=0.0), outputs=Outputs(class_axis=-3)),
        replace(source([], output_weight=1.0), outputs=Outputs(from_decoder=True)),
    ],
)
def test_what_the_recipe_does_not_use_is_not_compared(given):
    assert unsupported(given, NARROW) == ()
    assert restricted_to(given, NARROW) == given


def test_a_recipe_that_matches_nothing_is_for_targets_that_can_say_so():
    assert sentences(source([], output_weight=0.0), nothing=True) == []
    ((sentence, fatal),) = sentences(source([], output_weight=0.0))
    assert fatal
    assert "nothing to distil" in sentence


def test_a_restricted_source_has_nothing_unsupported():
    given = source(TWO, balance="gate", output_weight=1.0)
    left_out = unsupported(given, NARROW)
    told = restricted_to(given, NARROW, left_out)
    assert len(left_out) == 1
    assert unsupported(told, NARROW) == ()
    assert told.unsupported == tuple(one.sentence for one in left_out)
    assert all(f"unsupported: {sentence}" in told.provenance for sentence in told.unsupported)
