"""Networks in parts: a group of one process here holds them as several would, and two are in `test_accelerated.py`."""

from dataclasses import replace

import pytest
import torch
from small_tasks import Net, Sentences, load, make_space

from mapsearch.core.errors import TrainingFailed
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan
from mapsearch.core.train_spec import TrainSpec
from mapsearch.core.trained import TrainRequest
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.trainer import train_student
from mapsearch.trainer.checkpoint_file import CheckpointFile
from mapsearch.trainer.sharded import Sharded, blocks
from mapsearch.training.processes import ALONE

PAIRS = (Pair("blocks.0", "blocks.1", 1.0), Pair("blocks.1", "blocks.2", 1.0))
RECIPE = Recipe(LayerMapping(PAIRS), feature_share=0.5, output_weight=1.0, temperature=2.0)
SEED, N_STEPS = 3, 6


@pytest.fixture(scope="module")
def sharded(group):
    return Sharded(on_cpu=True)


def trained(processes, folder=None, stop_after=0, recipe=RECIPE, keep="last", **train):
    loaded, steps = load(Sentences()), iter(range(1, N_STEPS + 1))
    spec = TrainSpec(steps=N_STEPS, batch_size=16, max_grad_norm=0.1, **train)
    settings = TrainingSettings(task="task.py:Sentences", metric="accuracy", direction="maximize", train=spec)
    file = None if folder is None else CheckpointFile(folder, {"seed": SEED})
    *_, student = train_student(
        loaded, make_space(loaded), settings, RunPlan(0, recipe, 2, SEED, "confirm", "test", N_STEPS),
        TrainRequest(N_STEPS, SEED, 2, 2, keep), file=file, processes=processes,
        is_stopped=lambda: next(steps) == stop_after,
    )  # fmt: skip
    return student


def assert_alike(some, other):
    assert [loss for _, loss in some.curve] == pytest.approx([loss for _, loss in other.curve], rel=1e-5)
    weights = other.student.state_dict()
    for name, weight in some.student.state_dict().items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "how", [{}, {"keep": "best", "accumulate": 2}, {"optimizer": "sgd"}], ids=["adamw", "best", "sgd"]
)
def test_a_student_in_parts_is_the_one_that_is_whole(sharded, how):
    student = trained(sharded, **how)
    assert_alike(student, trained(ALONE, **how))
    assert type(student.student) is type(Sentences().student())


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("order", ["parts first", "whole first"])
def test_a_checkpoint_is_whole_so_that_either_goes_on_from_the_other(sharded, order, optimizer, tmp_path):
    first, then = (sharded, ALONE) if order == "parts first" else (ALONE, sharded)
    with pytest.raises(KeyboardInterrupt):
        trained(first, tmp_path, stop_after=3, optimizer=optimizer)
    assert_alike(trained(then, tmp_path, optimizer=optimizer), trained(ALONE, optimizer=optimizer))


def test_what_needs_whole_weights_is_refused(sharded):
    with pytest.raises(TrainingFailed, match=r"`train.ema: 0.9` .* `shard`"):
        trained(sharded, ema=0.9)
    with pytest.raises(TrainingFailed, match=r"`balance: gate` .* `shard`"):
        trained(sharded, recipe=replace(RECIPE, balance="gate"))


def test_blocks_are_called_as_one_and_share_no_weight_with_others():
    net = Net(8, 3)
    assert [*blocks(net)] == [*net.blocks]
    net.stem.weight = net.blocks[1].linear.weight
    assert [*blocks(net)] == [net.blocks[0], net.blocks[2]]
