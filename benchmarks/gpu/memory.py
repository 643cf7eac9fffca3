"""What a cohort and the cache were forecast to take, and what they took."""

import gc
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from benchmarks.similarity.workloads import Network, cnn, transformer
from mapsearch.check.cost import cache_bytes
from mapsearch.check.steps import open_steps
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import WorkerState, distill, open_worker_state
from mapsearch.features.layers import choose_layers, list_layers
from mapsearch.tasks.batches import collated
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import open_task
from mapsearch.tasks.nested import to_device
from mapsearch.tasks.precision import Precision
from mapsearch.tasks.task import Task
from mapsearch.training.memory import state_bytes, step_memory

MIB = 2**20
CLASSES = 10


class Classifier(nn.Module):
    """A network of blocks with a linear head over the mean of its positions."""

    def __init__(self, trunk: Network, width: int) -> None:
        super().__init__()
        self.trunk, self.head = trunk, nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, ...]` -> `[B, classes]`."""
        x = self.trunk(x)
        return self.head(x.mean((2, 3)) if x.ndim == 4 else x.mean(1))


class Workload(Task):
    """Random images or token embeddings for a teacher of twelve blocks and a student of six."""

    def __init__(self, name: str, quick: bool) -> None:
        self.images, self.n_samples = name == "images", 64 if quick else 1024
        self.shrink = (4 if self.images else 16) if quick else 1

    def teacher(self) -> nn.Module:
        return self._network(64 if self.images else 512, 12)

    def student(self) -> nn.Module:
        return self._network(32 if self.images else 256, 6)

    def train_data(self) -> TensorDataset:
        shape = (3, 64 // self.shrink, 64 // self.shrink) if self.images else (128 // self.shrink, 64)
        generator = torch.Generator().manual_seed(0)
        return TensorDataset(
            torch.randn(self.n_samples, *shape, generator=generator), torch.arange(self.n_samples) % CLASSES
        )

    def valid_data(self) -> TensorDataset:
        x, y = self.train_data().tensors
        return TensorDataset(x[:64], y[:64])

    def test_data(self) -> TensorDataset:
        return self.valid_data()

    def _network(self, width: int, n_blocks: int) -> nn.Module:
        width //= self.shrink
        return Classifier((cnn if self.images else transformer)(width, n_blocks), 4 * width if self.images else width)


def _opened(name: str, device: str, precision: Precision, quick: bool) -> tuple[LoadedTask, RecipeSpace, TrainSpec]:
    loaded = open_task(Workload(name, quick), device)
    batch = loaded.train[:4][0].to(loaded.device)
    layers = [
        choose_layers(which, model, list_layers(model, lambda m: m(batch), 4), ("trunk.block*",))
        for which, model in (("student", loaded.new_student(0)), ("teacher", loaded.teacher))
    ]
    train = TrainSpec(steps=16, batch_size=16 if quick else 64, precision=precision)
    return loaded, RecipeSpace(*layers), train


def _recipes(k: int) -> list[Recipe]:
    pairs = LayerMapping(tuple(Pair(f"trunk.block{i}", f"trunk.block{2 * i + 1}", 1.0) for i in range(6)))
    return [Recipe(pairs, feature_share=0.5, output_weight=1.0, temperature=1.0 + i) for i in range(k)]


def cohort_row(name: str, device: str, precision: Precision, k: int, quick: bool) -> dict[str, Any]:
    """MiB that training K students took above the loaded task, and that `check` would forecast."""
    loaded, space, train = _opened(name, device, precision, quick)
    before = _allocated(device, reset=True)
    plans = [RunPlan(i, recipe, 0, 0, "search", "valid", 16) for i, recipe in enumerate(_recipes(k))]
    results = [e for e in distill(loaded, space, train, plans, WorkerState()) if isinstance(e, RunResult)]
    taken = _peak(device) - before
    forecast = _forecast(loaded, space, train, plans[0].recipe, k)
    problems = [run.error for run in results if run.state != "complete"]
    return {
        "forecast MiB": forecast / MIB, "taken MiB": taken / MIB, "taken / forecast": taken / forecast,
        "seconds": sum(run.seconds for run in results), **({"error": problems[0]} if problems else {}),
    }  # fmt: skip


def _forecast(loaded: LoadedTask, space: RecipeSpace, train: TrainSpec, recipe: Recipe, k: int) -> int:
    """As `check` forecasts it: the state of every student, and a measured step of one."""
    spec = StudySpec(name="x", task="x.py:X", train=train)
    with open_steps(loaded, spec, space, recipe, _batch(loaded, train), ()) as steps:
        steps.train()
        networks = steps.training.student, steps.training.loss
        with step_memory(loaded.device, *networks) as step:
            steps.train()
        return k * state_bytes(networks, train.optimizer) + step.n_bytes


def _batch(loaded: LoadedTask, train: TrainSpec) -> Any:
    return to_device(collated(loaded, loaded.train, range(train.batch_size)), loaded.device)


def cache_row(name: str, device: str, precision: Precision, quick: bool) -> dict[str, Any]:
    """MiB that the cache of all teacher layers took, and that `check` forecasts."""
    loaded, space, train = _opened(name, device, precision, quick)
    state = open_worker_state(loaded, train, 2**34)
    before = _allocated(device, reset=True)
    plans = [RunPlan(0, _recipes(1)[0], 0, 0, "search", "valid", 16)]
    list(distill(loaded, space, train, plans, state))
    taken = _allocated(device, reset=False) - before
    used = tuple(layer for layer in space.teacher if layer.path in plans[0].recipe.mapping.teacher_layers)
    spec = StudySpec(name="x", task="x.py:X", train=train)
    forecast = cache_bytes(loaded, spec, RecipeSpace(space.student, used), _batch(loaded, train))
    return {"forecast MiB": forecast / MIB, "taken MiB": taken / MIB, "taken / forecast": taken / forecast}


def _allocated(device: str, *, reset: bool) -> int:
    gc.collect()
    if not device.startswith("cuda"):
        return 0
    if reset:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def _peak(device: str) -> int:
    return torch.cuda.max_memory_allocated() if device.startswith("cuda") else 0
