"""Scales and norms are frozen over the first batches, one batch at a time."""

import gc
from contextlib import ExitStack

import pytest
import torch
from small_tasks import Clusters, load, make_plans, make_space
from torch import Tensor

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.train_spec import TrainSpec
from mapsearch.training.calibration import N_CALIBRATION_BATCHES, calibrate
from mapsearch.training.student import open_student

BATCH = 17
"""No other tensor of these networks and data has so many rows."""
MAPPING = LayerMapping((Pair("blocks.0", "blocks.1", 1.0), Pair("blocks.0", "blocks.3", 1.0)))


def n_live_of_batches():
    gc.collect()
    return sum(issubclass(type(x), Tensor) and x.shape[:1] == (BATCH,) for x in gc.get_objects())


class Counting(Clusters):
    """Counts, whenever a batch is made, the tensors of earlier batches and their features that are still there."""

    def __init__(self):
        super().__init__()
        self.n_live = []

    def collate(self, samples):
        if len(samples) == BATCH:
            self.n_live.append(n_live_of_batches())
        return super().collate(samples)


@pytest.mark.parametrize("aggregation", ["sum", "mix"])
def test_nothing_is_kept_of_a_batch(aggregation):
    task = Counting()
    loaded, train = load(task), TrainSpec(steps=12, batch_size=BATCH)
    plans = make_plans(*(Recipe(MAPPING, loss, feature_share=0.5, aggregation=aggregation) for loss in ("nmse", "mse")))
    cohort = [open_student(loaded, make_space(loaded), train, plan, torch.contiguous_format) for plan in plans]
    task.n_live.clear()
    before = n_live_of_batches()
    with ExitStack() as stack:
        assert list(calibrate(loaded, train, cohort, None, stack)) == []
    n_passes = 2 if aggregation == "mix" else 1
    assert len(task.n_live) == n_passes * N_CALIBRATION_BATCHES
    per_pass = [task.n_live[i : i + N_CALIBRATION_BATCHES] for i in range(0, len(task.n_live), N_CALIBRATION_BATCHES)]
    for first, second, *later in per_pass:
        assert all(n <= second for n in (first, *later)), "the last batch may still be there, but none before it"
    assert n_live_of_batches() == before
