"""Students that convolve images are trained channels last, where that changes nothing but the time."""

import pytest
import torch
from rounded_products import RoundedProducts
from small_tasks import Clusters, load, make_plans, make_space
from torch import nn
from torch.utils.data import TensorDataset

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import WorkerState, distill, open_worker_state
from mapsearch.training.memory_format import choose_memory_format

TRAIN = TrainSpec(steps=8, batch_size=16, lr=5e-3)
PAIRED = Recipe(LayerMapping((Pair("blocks.1", "blocks.0", 1.0),)), feature_share=0.5, output_weight=1.0)


class Average(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


class View(nn.Module):
    """Takes its input for contiguous, and raises where it is not."""

    def forward(self, x):
        return x.view(len(x), -1)[:, :6]


class Memory(nn.Module):
    """Takes its input for contiguous, and is silently wrong where it is not."""

    def forward(self, x):
        return x.as_strided((len(x), 6), (x[0].numel(), 1))


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("the lens is broken")


class Convolutions(nn.Module):
    def __init__(self, pool):
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()),
            nn.Sequential(nn.Conv2d(6, 6, 3, padding=1)),
        )
        self.pool, self.head = pool, nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.pool(self.blocks(x)))


class Images(Clusters):
    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def teacher(self):
        return Convolutions(Average())

    def student(self):
        return Convolutions(self.pool)

    def train_data(self):
        generator = torch.Generator().manual_seed(0)
        return TensorDataset(torch.randn(64, 2, 5, 5, generator=generator), torch.arange(64) % 3)

    valid_data = test_data = train_data


class Shortcut(Images):
    """Students with a strided 1 x 1 convolution of few channels, which writes outside its memory channels last."""

    def student(self):
        student = Convolutions(self.pool)
        student.blocks.append(nn.Conv2d(6, 6, 1, 2))
        return student


class Unbuilt(Images):
    """Its data and teacher are fine; a student cannot be made."""

    def student(self):
        raise RuntimeError("no more students")


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        (Images(Average()), torch.channels_last),
        (Images(View()), torch.contiguous_format),
        (Images(Memory()), torch.contiguous_format),
        (Images(Broken()), torch.contiguous_format),
        (Shortcut(Average()), torch.contiguous_format),
        (Unbuilt(Average()), torch.contiguous_format),
        (Clusters(), torch.contiguous_format),
    ],
    ids=["convolutions", "view", "as_strided", "broken", "a convolution that breaks", "unbuilt", "no convolutions"],
)
def test_only_convolutions_that_give_the_same_are_laid_out_anew(task, wanted):
    assert open_worker_state(load(task), TRAIN).memory_format == wanted


@pytest.mark.parametrize(("pool", "wanted"), [(Average(), torch.channels_last), (Memory(), torch.contiguous_format)])
def test_a_worker_that_rounds_products_chooses_as_one_that_does_not(pool, wanted):
    loaded = load(Images(pool))
    with RoundedProducts() as rounded:
        assert choose_memory_format(loaded) == wanted
    assert rounded.n_rounded
    assert choose_memory_format(loaded) == wanted


@pytest.mark.parametrize("wanted", [torch.channels_last, torch.contiguous_format])
def test_students_are_trained_so(wanted):
    seen = []

    class Watched(Average):
        def forward(self, x):
            seen.append(x.is_contiguous(memory_format=wanted))
            return super().forward(x)

    loaded = load(Images(Watched()))
    space = make_space(loaded)
    seen.clear()
    plans = make_plans(PAIRED, n_steps=8)
    *_, result = distill(loaded, space, TRAIN, plans, WorkerState(memory_format=wanted))
    assert isinstance(result, RunResult)
    assert result.state == "complete"
    assert seen
    assert all(seen)


def test_the_first_loss_does_not_change():
    loaded = load(Images(Average()))
    losses = []
    for kind in (torch.channels_last, torch.contiguous_format):
        *_, result = distill(
            loaded, make_space(loaded), TRAIN, make_plans(PAIRED, n_steps=8), WorkerState(memory_format=kind)
        )
        assert isinstance(result, RunResult)
        losses.append(result.first_loss)
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
