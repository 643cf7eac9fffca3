"""Many runs in one process: nothing of them may stay."""

import gc
from pathlib import Path

import pytest
import torch
from small_tasks import Clusters, load, make_plans, make_space

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill, open_worker_state

TRAIN = TrainSpec(steps=5, batch_size=16)
PAIR = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5, output_weight=1.0)
DIVERGES = Recipe(output_weight=1e300)


def n_tensors() -> int:
    gc.collect()
    return sum(issubclass(type(x), torch.Tensor) for x in gc.get_objects())


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_two_hundred_runs_leave_memory_as_it_was():
    loaded = load(Clusters())
    space, worker_state = make_space(loaded), open_worker_state(loaded, TRAIN)

    def runs(n: int) -> None:
        for seed in range(n // 4):
            plans = make_plans(PAIR, Recipe(), PAIR, DIVERGES, n_steps=5, seed=seed)
            ended = [e.state for e in distill(loaded, space, TRAIN, plans, worker_state) if isinstance(e, RunResult)]
            assert sorted(ended) == ["complete", "complete", "complete", "diverged"]

    runs(40)
    tensors, resident = n_tensors(), resident_bytes()
    runs(200)
    assert n_tensors() <= tensors
    assert resident_bytes() < resident + 8 * 2**20  # 200 leaked students with their optimizers would be more
