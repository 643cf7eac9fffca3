"""Ways to train the students of `throughput.py`, and the networks and data that they share."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import optuna
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from mapsearch import RecipeLoss, Task
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import WorkerState, distill
from mapsearch.features.layers import choose_layers, list_layers
from mapsearch.features.taps import FeatureTaps
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import open_task
from mapsearch.tasks.precision import forward_precision

SIDE, CLASSES, BATCH, N_TRAIN, N_VALID = 16, 8, 64, 512, 256
STUDENT = ((16, 1), (32, 2), (64, 1), (96, 2), (80, 2))
TEACHERS = {
    "1.5M teacher": ((32, 1), (64, 2), (128, 1), (288, 2), (416, 2)),
    "teacher of ten times the cost": ((48, 1), (96, 2), (160, 1), (160, 1), (256, 2), (256, 1), (256, 2)),
}
"""(width, stride) of the stem and of each block; the cost is the time of a forward pass on a CPU."""


class Block(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False), nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class Cnn(nn.Module):
    """A stem, blocks and a linear head."""

    def __init__(self, shape: tuple[tuple[int, int], ...]) -> None:
        super().__init__()
        widths = [1, *(width for width, _ in shape)]
        self.stem, *blocks = (Block(a, b, s) for a, (b, s) in zip(widths, shape, strict=False))
        self.blocks, self.head = nn.ModuleList(blocks), nn.Linear(widths[-1], CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


class Images(Task):
    """Noise whose class is a bright row; fixed samples."""

    def __init__(self, teacher: tuple[tuple[int, int], ...], student: tuple[tuple[int, int], ...] = STUDENT) -> None:
        self._teacher, self._student = teacher, student

    def teacher(self) -> nn.Module:
        return Cnn(self._teacher)

    def student(self) -> nn.Module:
        return Cnn(self._student)

    def train_data(self) -> TensorDataset:
        return _images(N_TRAIN, 1)

    def valid_data(self) -> TensorDataset:
        return _images(N_VALID, 2)

    def test_data(self) -> TensorDataset:
        return _images(8, 3)


def _images(n: int, seed: int) -> TensorDataset:
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(n, 1, SIDE, SIDE, generator=generator), torch.arange(n) % CLASSES
    x[torch.arange(n), 0, 2 * y] += 2
    return TensorDataset(x, y)


@dataclass(frozen=True)
class Setting:
    """What all ways of training share."""

    loaded: LoadedTask
    space: RecipeSpace
    train: TrainSpec
    cache_bytes: int
    recipes: tuple[Recipe, ...]


def setting(
    task: Images, device: str, n_steps: int, n_trials: int, n_pairs: int = 1, cache_bytes: int = 2**30
) -> Setting:
    """Recipes that differ in their share alone, so that every trial costs the same."""
    loaded = open_task(task, device)
    batch = torch.zeros(2, 1, SIDE, SIDE, device=loaded.device)
    layers = [
        choose_layers(name, model, list_layers(model, lambda m: m(batch), 2), ("blocks.*",))
        for name, model in (("student", loaded.new_student(0)), ("teacher", loaded.teacher))
    ]
    pairs = [Pair(s.path, t.path, 1.0) for t in reversed(layers[1]) for s in reversed(layers[0])][:n_pairs]
    shares = [0.1 + 0.8 * i / n_trials for i in range(n_trials)]
    recipes = tuple(
        Recipe(LayerMapping(tuple(pairs)), feature_share=share * bool(pairs), output_weight=1.0, temperature=2.0)
        for share in shares
    )
    train = TrainSpec(steps=n_steps, batch_size=BATCH)
    return Setting(loaded, RecipeSpace(*layers), train, cache_bytes, recipes)


def engine(here: Setting, worker_state: WorkerState) -> Iterator[None]:
    """All trials as one cohort."""
    plans = [RunPlan(i, r, 0, 0, "search", "valid", here.train.steps) for i, r in enumerate(here.recipes)]
    for event in distill(here.loaded, here.space, here.train, plans, worker_state):
        assert not isinstance(event, RunResult) or event.state == "complete", event
        yield


def limit(here: Setting, memory_format: torch.memory_format = torch.contiguous_format) -> Iterator[None]:
    """The students alone."""
    loaded, n_steps = here.loaded, here.train.steps
    x, y = (tensor.to(loaded.device) for tensor in loaded.train.tensors)
    for _ in here.recipes:
        student = loaded.new_student(0).to(memory_format=memory_format)
        optimizer, schedule = _optimizer(here, list(student.parameters()))
        epochs = [torch.randperm(N_TRAIN) for _ in range(math.ceil(n_steps * BATCH / N_TRAIN))]
        for chosen in torch.cat(epochs)[: n_steps * BATCH].view(n_steps, BATCH):
            with forward_precision(here.train.precision, loaded.device):
                loss = F.cross_entropy(student(x[chosen]).float(), y[chosen])
            _step(here, loss, student.parameters(), optimizer, schedule)
        _accuracy(loaded, student)
        yield


def plain(here: Setting) -> Iterator[None]:
    """The loop of a tutorial: an Optuna study, one trial at a time, all blocks watched, the teacher in every step."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize")
    for recipe in here.recipes:
        trial = study.ask()
        trial.suggest_float("feature_share", 0.0, 1.0)
        study.tell(trial, _plain_trial(here, recipe))
        yield


def _plain_trial(here: Setting, recipe: Recipe) -> float:
    loaded, n_steps = here.loaded, here.train.steps
    t_paths, s_paths = ([layer.path for layer in layers] for layers in (here.space.teacher, here.space.student))
    student = loaded.new_student(0)
    loss = RecipeLoss(recipe, here.space.student, here.space.teacher).to(loaded.device)
    parameters = [*student.parameters(), *loss.parameters()]
    optimizer, schedule = _optimizer(here, parameters)
    with FeatureTaps(loaded.teacher, t_paths) as t_taps, FeatureTaps(student, s_paths) as s_taps:
        for step, (x, y) in enumerate(_shuffled(loaded, n_steps)):
            with forward_precision(here.train.precision, loaded.device):
                with torch.no_grad():
                    t_logits = loaded.teacher(x)
                s_logits = student(x)
            task = F.cross_entropy(s_logits.float(), y)
            total = loss(task, s_logits, t_logits, s_taps.take(), t_taps.take(), progress=step / n_steps)
            _step(here, total, parameters, optimizer, schedule)
    return _accuracy(loaded, student)


def _shuffled(loaded: LoadedTask, n_steps: int) -> Any:
    """Shuffled batches, epoch after epoch."""
    loader = DataLoader(loaded.train, BATCH, shuffle=True, drop_last=True)
    while True:
        for x, y in loader:
            yield x.to(loaded.device), y.to(loaded.device)
            if (n_steps := n_steps - 1) == 0:
                return


def _optimizer(here: Setting, parameters: list[nn.Parameter]) -> tuple[Any, Any]:
    optimizer = torch.optim.AdamW(parameters, here.train.lr, weight_decay=here.train.weight_decay, fused=True)
    return optimizer, torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, here.train.steps)


def _step(here: Setting, loss: Tensor, parameters: Any, optimizer: Any, schedule: Any) -> None:
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, here.train.max_grad_norm)
    optimizer.step()
    schedule.step()
    optimizer.zero_grad()


@torch.no_grad()
def _accuracy(loaded: LoadedTask, student: nn.Module) -> float:
    x, y = (tensor.to(loaded.device) for tensor in loaded.valid.tensors)
    student.eval()
    return float(torch.cat([student(part).argmax(1) for part in x.split(BATCH)]).eq(y).float().mean())
