"""What of a recipe a target cannot express: only what this recipe uses is compared."""

import re
from dataclasses import replace

import pytest

from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.outputs import Outputs
from mapsearch.core.recipe import Recipe
from mapsearch.core.train_spec import TrainSpec
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.exports.limits import (
    CHANGES_OUTPUTS,
    CHANGES_WEIGHTS,
    HAS_ANOTHER_TASK_LOSS,
    HAS_TWO_MASKS,
    MATCHES_NOTHING,
    MEASURES_AN_AVERAGE,
)
from mapsearch.exports.source import ExportSource
from mapsearch.exports.target import Target
from mapsearch.exports.targets import TARGETS

LAYERS = {
    "student": tuple(Layer(f"s{i}", "Block", "map", (4, 8, 8), 1) for i in range(2)),
    "teacher": tuple(Layer(f"t{i}", "Block", "map", (width, 8, 8), 1) for i, width in enumerate((6, 6, 9))),
}
ONE, TWO = [("s0", "t0", 1.0)], [("s0", "t0", 1.0), ("s1", "t1", 3.0)]


def settings(**train):
    return TrainingSettings(task="task.py:Net", metric="accuracy", direction="maximize", train=TrainSpec(**train))


def source(pairs=ONE, **fields):
    mapping = LayerMapping(tuple(Pair(*pair) for pair in pairs))
    shared = {"feature_share": 0.5, "task_weight": 2.0} if pairs else {}
    recipe = Recipe(mapping, **{**shared, "anneal": None, **fields})
    used = {path for pair in pairs for path in pair[:2]}
    chosen = [tuple(x for x in LAYERS[side] if x.path in used) for side in ("student", "teacher")]
    scales = (1.0,) * len(recipe.feature_terms)
    numbers = (scales, (), (), 0, 9, 1.0, "", (0.5,), "0", "2")
    return ExportSource("tiny", 3, recipe, *chosen, *numbers, settings=settings())


ROWS = [
    (source(balance="gate"), CHANGES_WEIGHTS, "`balance: gate` changes the weights"),
    (
        replace(source(), outputs=Outputs(from_decoder=True)),
        HAS_TWO_MASKS,
        "encoder and decoder have a mask of padding each, but the target has one",
    ),
    (
        replace(source(output_weight=1.0), outputs=Outputs(class_axis=-3)),
        CHANGES_OUTPUTS,
        "not matched as the network gives them .*axis -3",
    ),
    (
        replace(source(output_weight=1.0, output_loss="mse"), outputs=Outputs("values", mean=(1.0,), sd=(2.0,))),
        CHANGES_OUTPUTS,
        "output - mean",
    ),
    (replace(source(), settings=settings(ema=0.9)), MEASURES_AN_AVERAGE, "`train.ema: 0.9` measures an average"),
    (replace(source(), outputs=Outputs("values")), HAS_ANOTHER_TASK_LOSS, "that of values, but `extract_task_loss`"),
    (replace(source(), outputs=Outputs(next_token=True)), HAS_ANOTHER_TASK_LOSS, "the next token's, but"),
    (source([], output_weight=0.0), MATCHES_NOTHING, "nothing to distil"),
]
LIMITS = sorted({limit for target in TARGETS.values() for limit in target.limits}, key=lambda limit: limit.about)


@pytest.mark.parametrize(("given", "limit", "sentence"), ROWS)
def test_what_the_recipe_uses_and_the_target_lacks_is_said(given, limit, sentence):
    assert re.search(sentence, limit.sentence(given))


def test_every_limit_of_a_target_is_tried_here():
    assert {limit for _, limit, _ in ROWS} == set(LIMITS)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.about)
@pytest.mark.parametrize(
    "given",
    [
        source(TWO, output_weight=1.0),
        replace(source(ONE, output_weight=0.0), outputs=Outputs(class_axis=-3)),
        replace(source([], output_weight=1.0), outputs=Outputs(from_decoder=True)),
        replace(source(ONE, task_weight=0.0), outputs=Outputs("values")),
    ],
)
def test_what_the_recipe_does_not_use_is_not_compared(given, limit):
    assert limit.sentence(given) == ""
    assert NARROW.expressible(given) == given


NARROW = Target("", lambda source, path: {}, tuple(LIMITS))


def test_what_a_target_can_express_of_a_trial_has_nothing_left_out():
    given = source(TWO, balance="gate", output_weight=1.0)
    left_out = NARROW.left_out(given, fatal=False)
    told = NARROW.expressible(given)
    assert len(left_out) == 1
    assert NARROW.left_out(given, fatal=True) == ()
    assert NARROW.left_out(told, fatal=False) == ()
    assert told.unsupported == left_out
    assert all(f"unsupported: {sentence}" in told.provenance for sentence in told.unsupported)
