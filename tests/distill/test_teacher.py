"""What the teacher says: once per batch and cohort, once per sample with a cache, and always the same."""

from typing import ClassVar

import pytest
import torch
from small_tasks import Clusters, make_bench, make_plans, make_space
from torch import nn

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.records import RunResult
from mapsearch.core.spec import TrainSpec
from mapsearch.distill import Station, distill, open_station

TRAIN = TrainSpec(steps=24, batch_size=16, lr=5e-3)
LOGITS = Recipe(logit_weight=1.0, temperature=2.0)
PAIR = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5)
BOTH = Recipe(LayerMapping((Pair("blocks.1", "blocks.3", 1.0),)), feature_share=0.5, logit_weight=1.0)
N_CALIBRATION = 4


class Teachers:
    """Counts the forward passes of a bench's teacher."""

    def __init__(self, bench):
        self.n = 0
        bench.teacher.register_forward_hook(self.count)

    def count(self, *_):
        self.n += 1


def runs(bench, *recipes, station=None, train=TRAIN, seed=5):
    events = distill(bench, make_space(bench), train, make_plans(*recipes, n_steps=24, seed=seed), station)
    return [event for event in events if isinstance(event, RunResult)]


def assert_equal_runs(ones, others):
    for one, other in zip(ones, others, strict=True):
        assert one.state == other.state == "complete"
        assert one.metrics == pytest.approx(other.metrics, rel=1e-5)
        assert one.scales == pytest.approx(other.scales, rel=1e-6)
        assert [loss for _, loss in one.curve] == pytest.approx([loss for _, loss in other.curve], rel=1e-5)


def test_one_pass_serves_a_whole_cohort():
    bench = make_bench(Clusters())
    space, counted = make_space(bench), Teachers(bench)
    list(distill(bench, space, TRAIN, make_plans(PAIR, BOTH, LOGITS, n_steps=24)))
    assert counted.n == N_CALIBRATION + 24


def test_without_need_of_it_the_teacher_never_runs():
    bench = make_bench(Clusters())
    space, counted = make_space(bench), Teachers(bench)
    list(distill(bench, space, TRAIN, make_plans(Recipe(), n_steps=24), open_station(bench, TRAIN)))
    assert counted.n == 0


def test_cached_runs_equal_live_ones_and_each_sample_is_taught_once():
    bench = make_bench(Clusters(dropout=0.2))
    live = runs(bench, PAIR, BOTH, LOGITS)
    station, space = open_station(bench, TRAIN), make_space(bench)
    for seed in (1, 2, 5):
        list(distill(bench, space, TRAIN, make_plans(PAIR, BOTH, LOGITS, n_steps=24, seed=seed), station))
    counted = Teachers(bench)
    cached = list(distill(bench, space, TRAIN, make_plans(PAIR, BOTH, LOGITS, n_steps=24), station))
    assert counted.n == 0
    assert_equal_runs([event for event in cached if isinstance(event, RunResult)], live)


def test_a_lone_run_from_the_cache_equals_its_cohort():
    bench = make_bench(Clusters())
    station = open_station(bench, TRAIN)
    together = runs(bench, PAIR, BOTH, station=station)
    alone = [runs(bench, PAIR, station=station)[0], runs(bench, BOTH, station=station)[0]]
    assert_equal_runs(together, alone)


def test_a_new_layer_is_learnt_beside_those_that_are_there():
    bench = make_bench(Clusters())
    station = open_station(bench, TRAIN)
    runs(bench, PAIR, station=station)
    assert_equal_runs(runs(bench, BOTH, station=station), runs(bench, BOTH))


def test_augmented_samples_are_never_cached_and_come_out_as_without():
    bench = make_bench(Clusters(jitter=0.5))
    assert open_station(bench, TRAIN).cache is None


def test_even_a_cache_that_should_not_be_gives_no_stale_feature():
    fixed, jittered = make_bench(Clusters()), make_bench(Clusters(jitter=0.5))
    station = open_station(fixed, TRAIN)
    runs(fixed, BOTH, station=station)
    assert_equal_runs(runs(jittered, BOTH, station=station), runs(jittered, BOTH))


def test_processes_share_what_is_complete_and_a_changed_teacher_does_not(tmp_path):
    task = Clusters()
    task.cache_dir = tmp_path
    bench = make_bench(task)
    live = runs(bench, BOTH)
    first = open_station(bench, TRAIN)
    for seed in (1, 2, 3):
        runs(bench, BOTH, station=first, seed=seed)
    assert sorted(path.name for path in tmp_path.rglob("*.pt")) == ["blocks.3.pt", "output.pt"]
    second, counted = open_station(bench, TRAIN), Teachers(bench)
    assert_equal_runs(runs(bench, BOTH, station=second), live)
    assert counted.n - 1 == 1  # make_space looks once; the first batch proves the file
    with torch.no_grad():
        bench.teacher.blocks[3].linear.weight.mul_(3)
    assert_equal_runs(runs(bench, BOTH, station=open_station(bench, TRAIN)), runs(bench, BOTH))


def test_no_cache_when_none_is_wanted():
    train = TRAIN.model_copy(update={"cache_bytes": 0})
    assert open_station(make_bench(Clusters()), train).cache is None


def test_a_cache_too_small_for_a_layer_leaves_the_teacher_live():
    train = TRAIN.model_copy(update={"cache_bytes": 100})
    bench = make_bench(Clusters())
    station = open_station(bench, train)
    assert_equal_runs(runs(bench, BOTH, station=station, train=train), runs(bench, BOTH))
    assert set(station.cache.refused) == {"", "blocks.3"}


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
    bench = make_bench(Watched())
    station = open_station(bench, train)
    bench_space = make_space(make_bench(Clusters()))
    low, exact = (
        [e for e in distill(bench, bench_space, t, make_plans(BOTH, LOGITS, n_steps=24), s) if isinstance(e, RunResult)]
        for t, s in ((train, station), (TRAIN.model_copy(update={"optimizer": optimizer}), Station()))
    )
    assert torch.bfloat16 in Watching.seen
    for one, other in zip(low, exact, strict=True):
        assert one.state == "complete"
        assert one.curve != other.curve
        assert one.curve[-1][1] == pytest.approx(other.curve[-1][1], rel=0.1)
