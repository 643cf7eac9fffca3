"""Students trained on a CUDA device: as on the CPU, in bfloat16, cached, and short of memory."""

import gc
from dataclasses import replace
from typing import Any

import pytest
import torch
from small_tasks import Clusters, Net, Pictures, Sentences, every_recipe, load, make_plans, make_space
from torch import nn
from torch.utils.data import TensorDataset

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import CohortSplit, WorkerState, distill, open_worker_state, train_cohort
from mapsearch.tasks.task import Task

pytestmark = pytest.mark.cuda

TRAIN = TrainSpec(steps=8, batch_size=16, lr=2e-3, precision="float32")
PAIR = Recipe(LayerMapping((Pair("blocks.1", "blocks.2", 1.0),)), feature_share=0.5, output_weight=1.0)


def runs(task: Task, device: str, train: TrainSpec = TRAIN, cached: bool = True, n_steps: int = 8) -> list[RunResult]:
    """One cohort of every recipe, trained on the device."""
    loaded = load(task, device)
    space = make_space(loaded)
    plans = make_plans(*every_recipe(space), n_steps=n_steps)
    worker_state = open_worker_state(loaded, train) if cached else WorkerState()
    events = distill(loaded, space, train, plans, worker_state)
    return sorted((event for event in events if isinstance(event, RunResult)), key=lambda run: run.key)


def assert_agree(ones: list[RunResult], others: list[RunResult], rel: float) -> None:
    for one, other in zip(ones, others, strict=True):
        assert one.state == other.state == "complete", (one.error, other.error)
        assert one.first_loss == pytest.approx(other.first_loss, rel=rel)
        assert one.scales == pytest.approx(other.scales, rel=rel)
        assert one.gradient_shares == pytest.approx(other.gradient_shares, rel=10 * rel, abs=rel)
        assert one.curve[-1][1] == pytest.approx(other.curve[-1][1], rel=10 * rel)
        assert one.metrics["loss"] == pytest.approx(other.metrics["loss"], rel=10 * rel)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("task", [Clusters, Pictures, Sentences])
def test_a_cohort_of_every_loss_comes_out_as_on_the_cpu(device: str, task: type[Task]) -> None:
    assert_agree(runs(task(), device), runs(task(), "cpu"), rel=1e-4)


@pytest.mark.parametrize("task", [Clusters, Pictures, Sentences])
def test_in_bfloat16_every_loss_begins_near_its_float32_value(device: str, task: type[Task]) -> None:
    train = TRAIN.model_copy(update={"precision": "bfloat16"})
    for half, full in zip(runs(task(), device, train), runs(task(), device), strict=True):
        assert half.state == "complete", half.error
        assert half.first_loss == pytest.approx(full.first_loss, rel=0.1)


def test_auto_is_bfloat16_where_the_device_computes_in_it(cuda: str) -> None:
    if not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("the device has no bfloat16")
    auto, half = (runs(Pictures(), cuda, TRAIN.model_copy(update={"precision": p})) for p in ("auto", "bfloat16"))
    assert [run.first_loss for run in auto] == pytest.approx([run.first_loss for run in half], rel=1e-6)


@pytest.mark.usefixtures("exact")
def test_cached_teacher_outputs_train_the_same_students(device: str) -> None:
    two_epochs = {"n_steps": 16}
    assert_agree(runs(Pictures(), device, **two_epochs), runs(Pictures(), device, cached=False, **two_epochs), rel=1e-4)


class Pinned(Pictures):
    """Batches in pinned memory, from which copies to the device do not wait."""

    def collate(self, samples: list[Any]) -> Any:
        return [tensor.pin_memory() for tensor in super().collate(samples)]


class OnDevice(Pictures):
    """Data that lies on the device already."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device

    def _pictures(self, n: int, seed: int) -> TensorDataset:
        return TensorDataset(*(tensor.to(self.device) for tensor in super()._pictures(n, seed).tensors))


@pytest.mark.usefixtures("exact")
def test_pinned_batches_train_the_same_students(cuda: str) -> None:
    assert_agree(runs(Pinned(), cuda), runs(Pictures(), cuda), rel=1e-4)


@pytest.mark.usefixtures("exact")
def test_data_on_the_device_is_cached_and_trains_the_same_students(device: str) -> None:
    assert open_worker_state(load(OnDevice(device), device), TRAIN).cache is not None
    assert_agree(runs(OnDevice(device), device), runs(Pictures(), device), rel=1e-4)


def test_a_published_cache_serves_another_process(device: str, tmp_path: Any) -> None:
    task = Pictures()
    task.cache_dir = tmp_path
    loaded = load(task, device)
    space, n_passes = make_space(loaded), []
    states = [open_worker_state(loaded, TRAIN) for _ in range(2)]
    loaded.teacher.register_forward_hook(lambda module, inputs, output: n_passes.append(len(output)))
    for state in states:
        list(distill(loaded, space, TRAIN, make_plans(PAIR, n_steps=16), state))
    assert n_passes.count(TRAIN.batch_size) == 9, "once per batch of the first epoch, and once to trust the file"


class Wide(Clusters):
    """Students of 10 million weights: eight of them with their optimizers are 1.3 GB."""

    def student(self) -> nn.Module:
        return Net(2200, 2)


def test_a_cohort_out_of_memory_is_split_and_completes(cuda: str) -> None:
    gc.collect()
    torch.cuda.empty_cache()
    loaded = load(Wide(), cuda)
    plans = make_plans(*[Recipe(output_weight=1.0, temperature=1.0 + i) for i in range(8)], n_steps=4)
    space, total = make_space(loaded), torch.cuda.get_device_properties(0).total_memory
    splits: list[CohortSplit] = []
    waiting, done = [plans], []
    torch.cuda.set_per_process_memory_fraction(900e6 / total)
    try:
        while waiting:
            for event in train_cohort(loaded, space, TRAIN, waiting.pop(), WorkerState()):
                splits += [event] if isinstance(event, CohortSplit) else []
                waiting += list(event.cohorts) if isinstance(event, CohortSplit) else []
                done += [event] if isinstance(event, RunResult) else []
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert splits, "eight students must not fit"
    assert "memory" in splits[0].error
    assert [run.state for run in done] == ["complete"] * 8, [run.error for run in done]


@pytest.mark.parametrize("task", [Clusters, Sentences])
def test_batches_loaded_ahead_into_pinned_memory_train_the_same(device: str, task: type[Task]) -> None:
    train = TRAIN.model_copy(update={"accumulate": 2, "ema": 0.9, "features_until": 0.5})
    loaded = load(task(), device)
    space, curves = make_space(loaded), []
    for n in (0, 2):
        events = distill(replace(loaded, loader_workers=n), space, train, make_plans(PAIR, Recipe(), n_steps=8))
        curves.append([event.curve for event in events if isinstance(event, RunResult)])
    assert curves[0] == curves[1]
