"""Two small tasks, and trials of them that were really distilled."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mapsearch.core.facts import StudyFacts
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run, RunPlan, RunResult
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.studies import Study
from mapsearch.core.train_spec import TrainSpec
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict
from mapsearch.distill import distill
from mapsearch.exports.source import ExportSource, export_source
from mapsearch.features.layers import choose_layers, list_layers
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import open_task
from mapsearch.tasks.task import Task
from mapsearch.tasks.training_batches import train_batches


class ConvBlock(nn.Module):
    """Its output is overwritten in place by the ReLU that follows it."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(n_in, n_out, 3, stride, padding=1), nn.BatchNorm2d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class ConvNet(nn.Module):
    def __init__(self, width: int, strides: tuple[int, ...]) -> None:
        super().__init__()
        widths = [3, *(width for _ in strides)]
        self.blocks = nn.ModuleList(ConvBlock(*args) for args in zip(widths, widths[1:], strides, strict=False))
        self.drop, self.head = nn.Dropout(0.1), nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = torch.relu_(block(x))
        return self.head(self.drop(x.mean((2, 3))))


class Images(Task):
    def teacher(self) -> nn.Module:
        return ConvNet(8, (1, 2, 1))

    def student(self) -> nn.Module:
        return ConvNet(4, (2, 2))

    def train_data(self) -> Any:
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(40, 3, 9, 9, generator=generator)
        return [(image, -100 if i % 3 == 0 else i % 4) for i, image in enumerate(x)]

    def valid_data(self) -> Any:
        return self.train_data()[:16]


class TokenBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm, self.mlp = nn.LayerNorm(width), nn.Sequential(nn.Linear(width, width), nn.GELU())

    def forward(self, x: Tensor, padding: Tensor) -> tuple[Tensor, None]:
        h = self.norm(x)
        x = x + self.attention(h, h, h, key_padding_mask=padding, need_weights=False)[0]
        return x + self.mlp(x), None


class Transformer(nn.Module):
    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(20, width)
        self.layers = nn.ModuleList(TokenBlock(width) for _ in range(depth))
        self.head = nn.Linear(width, 3)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        x = self.embed(input_ids)
        for layer in self.layers:
            x = layer(x, attention_mask == 0)[0]
        return {"logits": self.head(x)}


class Tags(Task):
    """Token classification: logits `[B, L, 3]`, sequences of different length."""

    def teacher(self) -> nn.Module:
        return Transformer(12, 3)

    def student(self) -> nn.Module:
        return Transformer(8, 2)

    def train_data(self) -> Any:
        ids = torch.randint(1, 20, (32, 6), generator=torch.Generator().manual_seed(1))
        mask = (torch.arange(6) < torch.arange(32)[:, None] % 5 + 2).long()
        labels = (ids % 3).masked_fill(mask == 0, -100)
        return [{"input_ids": i, "attention_mask": m, "labels": y} for i, m, y in zip(ids, mask, labels, strict=True)]

    def valid_data(self) -> Any:
        return self.train_data()


class PatchNet(nn.Module):
    """A vision transformer of 3 x 3 patches behind a class token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed, self.first = nn.Conv2d(3, width, 3, stride=3), nn.Parameter(torch.randn(1, 1, width))
        self.layers = nn.ModuleList(TokenBlock(width) for _ in range(2))
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.first.expand(len(x), -1, -1), self.embed(x).flatten(2).mT], 1)
        for layer in self.layers:
            x = layer(x, torch.zeros(x.shape[:2], dtype=torch.bool))[0]
        return self.head(x[:, 0])


class Patches(Images):
    def student(self) -> nn.Module:
        return PatchNet(8)


class TwiceNet(nn.Module):
    """One block that is run twice: its layers are calls of a module."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.head = nn.Conv2d(3, 4, 1), ConvBlock(4, 4, 1), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(torch.relu(self.block(self.stem(x))))
        return self.head(x.mean((2, 3)))


class Twice(Images):
    def student(self) -> nn.Module:
        return TwiceNet()


MAPPINGS = {
    "twice": [("block#0", "blocks.0", 1.0), ("block#1", "blocks.2", 0.5)],
    "patches": [("layers.0", "blocks.0", 1.0), ("layers.1", "blocks.2", 0.5)],
    "images": [("blocks.0", "blocks.0", 1.0), ("blocks.0", "blocks.1", 0.5), ("blocks.1", "blocks.2", 2.0)],
    "tags": [("layers.0", "layers.0", 1.0), ("layers.0", "layers.1", 0.25), ("layers.1", "layers.2", 0.5)],
}
"""Many-to-one."""

TASKS = {"images": Images, "tags": Tags, "patches": Patches, "twice": Twice}


def mapping(task: str) -> LayerMapping:
    return LayerMapping(tuple(Pair(*pair) for pair in MAPPINGS[task]))


@dataclass(frozen=True)
class Distilled:
    """A study of one trial, distilled for a few steps."""

    loaded: LoadedTask
    space: RecipeSpace
    train: TrainSpec
    study: Study
    trials: list[Trial]
    runs: list[Run]

    @property
    def source(self) -> ExportSource:
        return export_source(self.study, self.trials, self.runs, 0)


TRAIN = TrainSpec(steps=5, batch_size=8)


def _distilled(loaded: LoadedTask, recipe: Recipe) -> Distilled:
    batch = next(train_batches(loaded, 8, 0, 1))
    layers = {}
    for network, model in (("student", loaded.new_student(0)), ("teacher", loaded.teacher)):
        found = list_layers(model, lambda m: loaded.task.forward(m, batch), 8)
        layers[network] = choose_layers(network, model, found, "auto")
    space = RecipeSpace(layers["student"], layers["teacher"])
    runs = [_run(loaded, space, recipe, seed) for seed in (5, 4)]
    facts = StudyFacts(
        layers={network: tuple(found) for network, found in layers.items()},
        environment={"mapsearch": "0.1.0", "torch": str(torch.__version__)},
        verdict=Verdict("TIES logits (+0.001)", None, 0, None, ()),
    )
    spec = StudySpec(name="small", task="task.py:Small", metric="accuracy", train=TRAIN).to_json()
    study = Study("small", "complete", spec, "", facts, "", "", 1, 2, 2)
    return Distilled(loaded, space, TRAIN, study, [Trial(0, "curve", recipe, state="complete")], runs)


def _run(loaded: LoadedTask, space: RecipeSpace, recipe: Recipe, seed: int) -> Run:
    plan = RunPlan(0, recipe, 2, seed, "confirm", "valid", 3)
    (result,) = [event for event in distill(loaded, space, TRAIN, [plan]) if isinstance(event, RunResult)]
    assert result.state == "complete", result.error
    return Run(0, 2, seed, "confirm", "valid", 3, "complete", 1, result.metrics["accuracy"], result)


@pytest.fixture(scope="session")
def loaded_tasks() -> dict[str, LoadedTask]:
    return {name: open_task(task(), "cpu") for name, task in TASKS.items()}


@pytest.fixture(scope="session")
def distilled(loaded_tasks: dict[str, LoadedTask]) -> Callable[..., Distilled]:
    """Distil a recipe with the task's many-to-one mapping and the given fields; `pairs=False`: without features."""

    def make(task: str, *, pairs: bool = True, **fields: Any) -> Distilled:
        features = {"mapping": mapping(task), "feature_share": 0.7, "anneal": 0.5} if pairs else {}
        return _distilled(
            loaded_tasks[task], Recipe(**{**features, "output_weight": 2.0, "temperature": 3.0, **fields})
        )

    return make


@pytest.fixture
def llama() -> Callable[..., ExportSource]:
    """A trial between two Llamas, written down as a study would store it."""

    def make(pairs: list[tuple[str, str, float]], teacher_width: int = 12, **fields: Any) -> ExportSource:
        found = LayerMapping(tuple(Pair(*pair) for pair in pairs))
        features = {"mapping": found, "feature_share": 0.6, "anneal": None} if pairs else {}
        recipe = Recipe(**{**features, "loss": "mse", "output_weight": 2.0, "temperature": 3.0, **fields})
        sides = [(found.student_layers, 8), (found.teacher_layers, teacher_width)]
        student, teacher = (tuple(Layer(x, "", "tokens", (16, width), 1) for x in paths) for paths, width in sides)
        scales = tuple(0.5 + i for i, _ in enumerate(recipe.feature_terms))
        norms = () if recipe.aggregation == "sum" else tuple(1.0 for _ in pairs)
        return ExportSource(
            "chat", 7, recipe, student, teacher, scales, norms, (), 0, 300, 1.0, "BEATS logits", (2.0, 2.5),
            "0.1.0", "2.13.0",
            settings=TrainingSettings(task="task.py:Chat", metric="loss", direction="minimize"),
        )  # fmt: skip

    return make
