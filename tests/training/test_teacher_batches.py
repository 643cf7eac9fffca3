"""What the teacher says: once per batch and cohort, once per sample with a cache, and always the same."""

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from small_tasks import Clusters, load, make_plans, make_space
from torch import nn

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import WorkerState, distill, open_worker_state

TRAIN = TrainSpec(steps=24, batch_size=16, lr=5e-3)
LOGITS = Recipe(output_weight=1.0, temperature=2.0)
PAIR = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5)
BOTH = Recipe(LayerMapping((Pair("blocks.1", "blocks.3", 1.0),)), feature_share=0.5, output_weight=1.0)
N_CALIBRATION = 4


class Teachers:
    """Counts the forward passes of a loaded's teacher over training samples."""

    def __init__(self, loaded):
        self.n, self.samples = 0, loaded.train.x
        loaded.teacher.register_forward_hook(self.count)

    def count(self, module, inputs, output):
        self.n += bool((self.samples == inputs[0][0]).all(1).any())


def runs(loaded, *recipes, worker_state=None, train=TRAIN, seed=5):
    events = distill(loaded, make_space(loaded), train, make_plans(*recipes, n_steps=24, seed=seed), worker_state)
    return [event for event in events if isinstance(event, RunResult)]


def assert_equal_runs(ones, others):
    for one, other in zip(ones, others, strict=True):
        assert one.state == other.state == "complete"
        assert one.metrics == pytest.approx(other.metrics, rel=1e-5)
        assert one.scales == pytest.approx(other.scales, rel=1e-6)
        assert [loss for _, loss in one.curve] == pytest.approx([loss for _, loss in other.curve], rel=1e-5)


def test_one_pass_serves_a_whole_cohort():
    loaded = load(Clusters())
    space, counted = make_space(loaded), Teachers(loaded)
    list(distill(loaded, space, TRAIN, make_plans(PAIR, BOTH, LOGITS, n_steps=24)))
    assert counted.n == N_CALIBRATION + 24


def test_without_need_of_it_the_teacher_never_sees_a_training_sample():
    loaded = load(Clusters())
    space, worker_state = make_space(loaded), open_worker_state(loaded, TRAIN)
    counted = Teachers(loaded)
    list(distill(loaded, space, TRAIN, make_plans(Recipe(), n_steps=24), worker_state))
    assert counted.n == 0


def test_cached_runs_equal_live_ones_and_each_sample_is_taught_once():
    loaded = load(Clusters(dropout=0.2))
    live = runs(loaded, PAIR, BOTH, LOGITS)
    worker_state, space = open_worker_state(loaded, TRAIN), make_space(loaded)
    for seed in (1, 2, 5):
        list(distill(loaded, space, TRAIN, make_plans(PAIR, BOTH, LOGITS, n_steps=24, seed=seed), worker_state))
    counted = Teachers(loaded)
    cached = list(distill(loaded, space, TRAIN, make_plans(PAIR, BOTH, LOGITS, n_steps=24), worker_state))
    assert counted.n == 0
    assert_equal_runs([event for event in cached if isinstance(event, RunResult)], live)


def test_a_lone_run_from_the_cache_equals_its_cohort():
    loaded = load(Clusters())
    worker_state = open_worker_state(loaded, TRAIN)
    together = runs(loaded, PAIR, BOTH, worker_state=worker_state)
    alone = [runs(loaded, PAIR, worker_state=worker_state)[0], runs(loaded, BOTH, worker_state=worker_state)[0]]
    assert_equal_runs(together, alone)


@pytest.mark.parametrize("jitter", [0.0, 0.5])
def test_runs_are_the_same_bit_for_bit_whatever_process_loads_their_batches(jitter):
    loaded = load(Clusters(dropout=0.2, jitter=jitter))
    ahead = replace(loaded, loader_workers=2)
    here, there = (
        [r.curve for r in runs(x, PAIR, BOTH, worker_state=open_worker_state(x, TRAIN))] for x in (loaded, ahead)
    )
    assert here == there


def test_a_new_layer_is_learnt_beside_those_that_are_there():
    loaded = load(Clusters())
    worker_state = open_worker_state(loaded, TRAIN)
    runs(loaded, PAIR, worker_state=worker_state)
    assert_equal_runs(runs(loaded, BOTH, worker_state=worker_state), runs(loaded, BOTH))


def test_augmented_samples_are_never_cached_and_come_out_as_without():
    loaded = load(Clusters(jitter=0.5))
    assert open_worker_state(loaded, TRAIN).cache is None


def test_even_a_cache_that_should_not_be_gives_no_stale_feature():
    fixed, jittered = load(Clusters()), load(Clusters(jitter=0.5))
    worker_state = open_worker_state(fixed, TRAIN)
    runs(fixed, BOTH, worker_state=worker_state)
    assert_equal_runs(runs(jittered, BOTH, worker_state=worker_state), runs(jittered, BOTH))


def test_processes_share_what_is_complete_and_a_changed_teacher_does_not(tmp_path):
    task = Clusters()
    task.cache_dir = tmp_path
    loaded = load(task)
    live = runs(loaded, BOTH)
    first = open_worker_state(loaded, TRAIN)
    for seed in (1, 2, 3):
        runs(loaded, BOTH, worker_state=first, seed=seed)
    assert sorted(path.name for path in tmp_path.rglob("*.pt")) == ["blocks.3.pt", "output.pt"]
    second, counted = open_worker_state(loaded, TRAIN), Teachers(loaded)
    assert_equal_runs(runs(loaded, BOTH, worker_state=second), live)
    assert counted.n == 1  # the first batch proves the file
    with torch.no_grad():
        loaded.teacher.blocks[3].linear.weight.mul_(3)
    assert_equal_runs(runs(loaded, BOTH, worker_state=open_worker_state(loaded, TRAIN)), runs(loaded, BOTH))


def test_no_cache_when_none_is_wanted():
    assert open_worker_state(load(Clusters()), TRAIN, cache_bytes=0).cache is None


def test_a_cache_too_small_for_a_layer_leaves_the_teacher_live():
    loaded = load(Clusters())
    worker_state = open_worker_state(loaded, TRAIN, cache_bytes=100)
    assert_equal_runs(runs(loaded, BOTH, worker_state=worker_state), runs(loaded, BOTH))
    assert set(worker_state.cache.features.refused) == {"", "blocks.3"}


class Watching(nn.Module):
    """Passes on what comes and remembers its type."""

    seen: ClassVar[set[torch.dtype]] = set()

    def forward(self, x):
        self.seen.add(x.dtype)
        return x


class Watched(Clusters):
    def student(self):
        student = super().student()
        student.blocks.append(Watching())
        return student


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_in_bfloat16_students_learn_and_losses_stay_float32(optimizer):
    Watching.seen.clear()
    train = TRAIN.model_copy(update={"precision": "bfloat16", "optimizer": optimizer})
    loaded = load(Watched())
    worker_state = open_worker_state(loaded, train)
    whole_space = make_space(load(Clusters()))
    low, exact = (
        [
            e
            for e in distill(loaded, whole_space, t, make_plans(BOTH, LOGITS, n_steps=24), s)
            if isinstance(e, RunResult)
        ]
        for t, s in ((train, worker_state), (TRAIN.model_copy(update={"optimizer": optimizer}), WorkerState()))
    )
    assert torch.bfloat16 in Watching.seen
    for one, other in zip(low, exact, strict=True):
        assert one.state == "complete"
        assert one.curve != other.curve
        assert one.curve[-1][1] == pytest.approx(other.curve[-1][1], rel=0.1)
