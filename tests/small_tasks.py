"""Tiny tasks for the tests: clusters for two MLPs, pictures, sentences, and students that go wrong on purpose."""

import resource
import sys
import threading
import weakref
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import AggregationName, BalanceName, FeatureLossName, OutputLossName, Recipe
from mapsearch.core.runs import RunPlan
from mapsearch.core.space import RecipeSpace
from mapsearch.features.layers import choose_layers, list_layers
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import open_task
from mapsearch.tasks.nested import batch_size, to_device
from mapsearch.tasks.task import Task

WIDTH = 8


class Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(width, width), nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.dropout(torch.relu(self.norm(self.linear(x))))


class Net(nn.Module):
    def __init__(self, width: int, depth: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.stem = nn.Linear(WIDTH, width)
        self.blocks = nn.ModuleList(Block(width, dropout) for _ in range(depth))
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Points(Dataset[Any]):
    """Clusters around three centres; `jitter` draws fresh noise from the global generator at every look."""

    def __init__(self, n: int, seed: int, jitter: float = 0.0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.y = torch.randint(3, (n,), generator=generator)
        self.x = 2.0 * torch.eye(WIDTH)[self.y] + torch.randn(n, WIDTH, generator=generator)
        self.jitter = jitter

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.x[i] + self.jitter * torch.randn(WIDTH), self.y[i]


class Clusters(Task):
    """The task that works; `talk` prints when a student is made."""

    def __init__(self, dropout: float = 0.0, jitter: float = 0.0, talk: bool = False) -> None:
        self.dropout, self.jitter, self.talk = dropout, jitter, talk

    def teacher(self) -> nn.Module:
        return Net(16, 4)

    def student(self) -> nn.Module:
        if self.talk:
            print("a student is born")
        return Net(8, 2, self.dropout)

    def train_data(self) -> Any:
        return Points(128, 1, self.jitter)

    def valid_data(self) -> Any:
        return Points(64, 2)

    def test_data(self) -> Any:
        return Points(64, 3)


class ConvolutionNet(nn.Module):
    """Convolution blocks, of which every second halves the picture."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        widths = [2, *[width] * depth]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(widths[i], width, 3, 1 + i % 2, padding=1), nn.BatchNorm2d(width), nn.ReLU())
            for i in range(depth)
        )
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean((2, 3)))


class Pictures(Clusters):
    """Noise `[2, 6, 6]` with one bright row per class, and two convolutional networks."""

    def teacher(self) -> nn.Module:
        return ConvolutionNet(8, 3)

    def student(self) -> nn.Module:
        return ConvolutionNet(6, 2)

    def _pictures(self, n: int, seed: int) -> TensorDataset:
        generator = torch.Generator().manual_seed(seed)
        x, y = torch.randn(n, 2, 6, 6, generator=generator), torch.arange(n) % 3
        x[torch.arange(n), :, 2 * y] += 2
        return TensorDataset(x, y)

    def train_data(self) -> Any:
        return self._pictures(128, 1)

    def valid_data(self) -> Any:
        return self._pictures(64, 2)

    def test_data(self) -> Any:
        return self._pictures(64, 3)


class AttentionBlock(nn.Module):
    """Attention over the real tokens, and a residual connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.queries, self.keys, self.values = (nn.Linear(width, width) for _ in range(3))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        scores = self.queries(x) @ self.keys(x).mT / x.shape[-1] ** 0.5
        weights = scores.masked_fill(~mask.unsqueeze(1), -torch.inf).softmax(-1)
        return self.norm(x + weights @ self.values(x))


class AttentionNet(nn.Module):
    """Token and position embeddings, attention blocks, and a head over the mean of the real tokens."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(12, width), nn.Embedding(6, width)
        self.blocks = nn.ModuleList(AttentionBlock(width) for _ in range(depth))
        self.head = nn.Linear(width, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask.bool()
        x = self.tokens(input_ids) + self.positions.weight
        for block in self.blocks:
            x = block(x, mask)
        real = mask.unsqueeze(-1)
        return self.head(x.masked_fill(~real, 0.0).sum(1) / real.sum(1))


class Sentences(Clusters):
    """Six tokens, the last of which may be padding; the first one tells the class."""

    def teacher(self) -> nn.Module:
        return AttentionNet(12, 3)

    def student(self) -> nn.Module:
        return AttentionNet(8, 2)

    def _sentences(self, n: int, seed: int) -> list[dict[str, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        ids, lengths = torch.randint(12, (n, 6), generator=generator), 4 + torch.arange(n) % 3
        return [
            {"input_ids": ids[i], "attention_mask": (torch.arange(6) < lengths[i]).long(), "labels": ids[i, 0] % 3}
            for i in range(n)
        ]

    def train_data(self) -> Any:
        return self._sentences(128, 1)

    def valid_data(self) -> Any:
        return self._sentences(64, 2)

    def test_data(self) -> Any:
        return self._sentences(64, 3)


class ResidualBlock(nn.Module):
    """A layer and a residual connection, without norm or dropout."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.tanh(self.layer(x))


class ResidualConvNet(nn.Module):
    """A stem, residual convolutions that keep the size of the picture, and a head."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(nn.Conv2d(width, width, 3, padding=1)) for _ in range(depth)))
        self.head = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class TokenNet(nn.Module):
    """Tokens that do not see each other, so that padding reaches the output only where no mask is given."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(40, width)
        self.blocks = nn.ModuleList(ResidualBlock(nn.Linear(width, width)) for _ in range(depth))
        self.head = nn.Linear(width, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        x = self.embedding(input_ids)
        for block in self.blocks:
            x = block(x)
        real = (torch.ones_like(input_ids) if attention_mask is None else attention_mask).unsqueeze(-1).float()
        return self.head((x * real).sum(1) / real.sum(1))


class Recording(Clusters):
    """Keeps every initial student and every batch."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.students: list[dict[str, Tensor]] = []
        self.batches: list[Tensor] = []

    def student(self) -> nn.Module:
        student = super().student()
        self.students.append({name: value.clone() for name, value in student.state_dict().items()})
        return student

    def collate(self, samples: list[Any]) -> Any:
        batch = super().collate(samples)
        self.batches.append(batch[0])
        return batch


class Loud(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 1e30


class Silent(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.detach()


class Side(Net):
    """A student with layers beside its trunk: one overflows any square, one sends no gradient."""

    def __init__(self) -> None:
        super().__init__(8, 2)
        self.loud, self.silent = Loud(), Silent()

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        self.loud(h), self.silent(h)
        return super().forward(x)


class SideLayers(Clusters):
    def student(self) -> nn.Module:
        return Side()


class Sequence(nn.Sequential):
    """Linear layers whose output the next layer overwrites in place, or not."""

    def __init__(self, inplace: bool) -> None:
        super().__init__(nn.Linear(WIDTH, 8), nn.ReLU(inplace), nn.Linear(8, 8), nn.ReLU(inplace), nn.Linear(8, 3))


class InPlace(Clusters):
    def __init__(self, inplace: bool) -> None:
        super().__init__()
        self.inplace = inplace

    def student(self) -> nn.Module:
        return Sequence(self.inplace)


class Tired(Net):
    """Raises at its sixth forward pass in training."""

    error: BaseException = ValueError("no more, please")
    n_calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.n_calls += self.training
        if self.n_calls == 6:
            raise self.error
        return super().forward(x)


class SecondTires(Clusters):
    n_students = 0

    def student(self) -> nn.Module:
        self.n_students += 1
        return Tired(8, 2) if self.n_students == 2 else Net(8, 2)


class Room:
    """Counts the students alive; too many do not fit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.alive: weakref.WeakSet[nn.Module] = weakref.WeakSet()

    def __deepcopy__(self, memo: Any) -> "Room":
        return self

    def check(self) -> None:
        if len(self.alive) > self.limit:
            raise torch.OutOfMemoryError(f"{len(self.alive)} students, but room for {self.limit}")


class Hungry(Net):
    def __init__(self, room: Room) -> None:
        super().__init__(8, 2)
        self.room = room
        room.alive.add(self)

    def forward(self, x: Tensor) -> Tensor:
        self.room.check()
        return super().forward(x)


class Crowded(Clusters):
    def __init__(self, limit: int) -> None:
        super().__init__()
        self.room = Room(limit)

    def student(self) -> nn.Module:
        return Hungry(self.room)


class Fat(Net):
    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x + (x.unsqueeze(-1) + torch.zeros(400_000)).exp().mean(-1)  # 12.8 MB per sample, three times over
        return super().forward(x)


class Limited(Clusters):
    """Its process gets 450 MB more than it has when the task is loaded; a batch of 16 samples takes 615."""

    def teacher(self) -> nn.Module:
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 450 * 2**20,) * 2)
        return super().teacher()

    def student(self) -> nn.Module:
        return Fat(8, 2)


class BadMetric(Clusters):
    """A metric that is not finite, or that raises."""

    def __init__(self, raises: bool) -> None:
        super().__init__()
        self.raises = raises

    def metrics(self, output: Any, batch: Any) -> dict[str, Tensor | float]:
        if self.raises:
            raise KeyError("accuracy")
        return {"accuracy": float("nan")}


class LostFile(Clusters):
    """Training data whose file is gone when it is read."""

    def collate(self, samples: list[Any]) -> Any:
        raise FileNotFoundError("points.bin is gone")


class Leaving(Clusters):
    """Its loss ends the process."""

    def loss(self, output: Any, batch: Any) -> Tensor:
        sys.exit(0)


class Stuck(Clusters):
    """Students of seed 13 never get through their first step."""

    def student(self) -> nn.Module:
        student = Net(8, 2)
        if torch.initial_seed() == 13:
            student.stem.register_forward_hook(lambda *_: threading.Event().wait())
        return student


class NeverLoaded(Clusters):
    def teacher(self) -> nn.Module:
        threading.Event().wait()
        raise AssertionError("never reached")


class NoTeacher(Clusters):
    def teacher(self) -> nn.Module:
        raise OSError("the weights are not here")


def load(task: Task, device: str = "cpu") -> LoadedTask:
    return open_task(task, device)


def make_space(loaded: LoadedTask, student: str | tuple[str, ...] = "auto") -> RecipeSpace:
    batch = to_device(loaded.task.collate([loaded.valid[i] for i in range(8)]), loaded.device)
    chosen = [
        choose_layers(
            name, model, list_layers(model, lambda m: loaded.task.forward(m, batch), batch_size(batch)), wanted
        )
        for name, model, wanted in (("student", loaded.new_student(0), student), ("teacher", loaded.teacher, "auto"))
    ]
    return RecipeSpace(*chosen)


def every_recipe(space: RecipeSpace) -> list[Recipe]:
    """Recipes that together use every feature loss that is legal here, logit loss, projector, aggregation, balance."""
    first, second = space.student[:2]
    row = LayerMapping((Pair(first.path, space.teacher[0].path, 2.0), Pair(first.path, space.teacher[1].path, 1.0)))
    pairs = LayerMapping((*row.pairs, Pair(second.path, space.teacher[-1].path, 1.0)))
    shared: dict[str, Any] = {"feature_share": 0.5, "output_weight": 1.0, "temperature": 2.0}
    recipes = [Recipe(pairs, loss, **shared) for loss in get_args(FeatureLossName)]
    recipes += [Recipe(output_loss=loss, output_weight=1.0, temperature=2.0) for loss in get_args(OutputLossName)]
    combinations: list[tuple[AggregationName, BalanceName]] = [
        ("sum", "gate"), ("sum", "uncertainty"), ("fuse", "frozen"), ("fuse", "gate"), ("mix", "uncertainty"),
    ]  # fmt: skip
    for aggregation, balance in combinations:
        recipes.append(Recipe(pairs, projector="mlp", aggregation=aggregation, balance=balance, anneal=0.5, **shared))
    return [Recipe(), *(recipe for recipe in recipes if not space.problems(recipe))]


def make_plans(*recipes: Recipe, seed: int = 5, n_steps: int = 12) -> tuple[RunPlan, ...]:
    return tuple(RunPlan(i, recipe, 0, seed, "search", "valid", n_steps) for i, recipe in enumerate(recipes))
