"""scikit-learn's bundled digits: 1,797 grey images of 8x8 pixels, ten classes."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import mapsearch

UNLABELLED = -100
KEPT_BLOCKS = (0, 2, 4)


class Block(nn.Module):
    """Two convolutions beside a shortcut; `stride=2` halves the grid."""

    def __init__(self, n_in: int, n_out: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Conv2d(n_in, n_out, 1, stride, bias=False) if n_in != n_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class Network(nn.Module):
    """A stem, blocks, and a linear head on the pooled map."""

    def __init__(self, stem: nn.Module, blocks: list[nn.Module], width: int) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = stem, nn.Sequential(*blocks), nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def teacher() -> Network:
    """Six residual blocks, 174,762 parameters."""
    widths = (16, 16, 16, 32, 32, 64, 64)
    blocks = [Block(a, b, stride=1 if a == b else 2) for a, b in pairwise(widths)]
    return Network(nn.Conv2d(1, 16, 3, padding=1), blocks, 64)


def student() -> Network:
    """Three plain convolutions, 5,090 parameters."""
    widths = (8, 8, 16, 24)
    blocks = [
        nn.Sequential(nn.Conv2d(a, b, 3, stride, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
        for (a, b), stride in zip(pairwise(widths), (1, 2, 2), strict=True)
    ]
    return Network(nn.Conv2d(1, 8, 3, padding=1), blocks, 24)


class Digits(mapsearch.Task):
    """1,000 training images of which `labels` keep their label, 397 to validate, 400 to test."""

    def __init__(self, labels: int = 100) -> None:
        data = load_digits()
        order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
        self.x = torch.tensor(data.images, dtype=torch.float32).unsqueeze(1)[order] / 16
        self.y = torch.tensor(data.target)[order]
        self.labels_kept = labels

    def teacher(self) -> nn.Module:
        """Trained on all 1,000 labels, once; kept beside the study database."""
        model, path = teacher(), self.cache_dir / "digits-teacher.pt"
        if not path.exists():
            self._train(model)
            torch.save(model.state_dict(), path)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    def student(self) -> nn.Module:
        return student()

    def train_data(self) -> TensorDataset:
        y = self.y[:1000].clone()
        y[self.labels_kept :] = UNLABELLED
        return TensorDataset(self.x[:1000], y)

    def valid_data(self) -> TensorDataset:
        return TensorDataset(self.x[1000:1397], self.y[1000:1397])

    def test_data(self) -> TensorDataset:
        return TensorDataset(self.x[1397:], self.y[1397:])

    def _train(self, model: nn.Module, steps: int = 300) -> None:
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
        for _ in range(steps):
            chosen = torch.randint(1000, (64,))
            F.cross_entropy(model(self.x[chosen]), self.y[chosen]).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


class FewImages(Digits):
    """Some `blocks` of the teacher's network with its weights, and `images` labelled ones to repair it with."""

    def __init__(self, images: int = 20, blocks: Sequence[int] = KEPT_BLOCKS) -> None:
        super().__init__()
        self.n_images, self.kept = images, tuple(blocks)

    def student(self) -> nn.Module:
        """Stem, some blocks and head of the teacher, copied; each must take what the one before it leaves."""
        model = self.teacher()
        model.blocks = nn.Sequential(*[model.blocks[i] for i in self.kept])
        return model

    def train_data(self, seed: int = 0) -> TensorDataset:
        """Images drawn anew for each seed."""
        drawn = torch.randperm(1000, generator=torch.Generator().manual_seed(seed))[: self.n_images]
        return TensorDataset(self.x[drawn], self.y[drawn])
