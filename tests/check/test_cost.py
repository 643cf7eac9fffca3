"""What a study will take is measured on the very passes that it makes."""

import pytest
from small_tasks import Sentences, load, make_plans, make_space

from mapsearch.check.cost import cache_bytes
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.spec import StudySpec
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill, open_worker_state
from mapsearch.tasks.training_batches import train_batches

BUDGET = 2**20


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_cache_takes_what_was_forecast(precision):
    loaded, train = load(Sentences()), TrainSpec(steps=9, batch_size=16, precision=precision)
    space, state = make_space(loaded), open_worker_state(loaded, train, BUDGET)
    pairs = tuple(Pair(space.student[0].path, layer.path, 1.0) for layer in space.teacher)
    recipe = Recipe(LayerMapping(pairs), feature_share=0.5, output_weight=1.0)
    list(distill(loaded, space, train, make_plans(recipe, n_steps=9), state))
    spec = StudySpec(name="x", task="x.py:X", train=train)
    taken = BUDGET - state.cache.features._left
    assert cache_bytes(loaded, spec, space, next(train_batches(loaded, 16, 0, 1))) == taken
