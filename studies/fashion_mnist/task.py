"""Fashion-MNIST: grey images of 28x28 pixels, ten kinds of clothes, 60,000 to train and 10,000 to test.

Prepare it with `apt-get install dataset-fashion-mnist` (Debian, Ubuntu), or put the four idx files, gzipped or
not, into a folder of yours and name that in study.yaml: `options: {data_dir: FOLDER}`.
"""

import gzip
import struct
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import mapsearch
from mapsearch.core.errors import TaskError

UNLABELLED = -100
N_VALID = 5000
"""The last of the training images, which neither network learns from."""


class Block(nn.Module):
    """Two convolutions beside a shortcut; `stride=2` halves the grid."""

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(n_out)
        self.conv2 = nn.Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(n_out)
        self.shortcut = nn.Conv2d(n_in, n_out, 1, stride, bias=False) if n_in != n_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """A stem, three stages of `depth` blocks on grids of 14, 7 and 4, and a linear head on the pooled map."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, 2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        widths = [width] * (depth + 1) + [2 * width] * depth + [4 * width] * depth
        self.blocks = nn.Sequential(*(Block(a, b, stride=1 if a == b else 2) for a, b in pairwise(widths)))
        self.head = nn.Linear(4 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


class FashionMnist(mapsearch.Task):
    """`images` to train on, of which the first `labels` keep their label; 5,000 to validate, 10,000 to test."""

    def __init__(
        self, data_dir: str = "/usr/share/datasets/fashion-mnist", images: int = 10_000, labels: int = 1_000,
        teacher_epochs: int = 3,
    ) -> None:  # fmt: skip
        self.folder, self.images, self.labels_kept, self.teacher_epochs = Path(data_dir), images, labels, teacher_epochs
        self.x, self.y = read(self.folder, "train")

    def teacher(self) -> nn.Module:
        """Nine residual blocks, trained on 55,000 labels, once; kept beside the study database."""
        model, path = ResNet(width=16, depth=3), self.cache_dir / f"teacher-{self.teacher_epochs}-epochs.pt"
        if not path.exists():
            fit(model, self.x[:-N_VALID], self.y[:-N_VALID], self.teacher_epochs)
            torch.save(model.state_dict(), path)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    def student(self) -> nn.Module:
        """Three residual blocks of half the width."""
        return ResNet(width=8, depth=1)

    def train_data(self) -> TensorDataset:
        y = self.y[: self.images].clone()
        y[self.labels_kept :] = UNLABELLED
        return TensorDataset(pixels(self.x[: self.images]), y)

    def valid_data(self) -> TensorDataset:
        return TensorDataset(pixels(self.x[-N_VALID:]), self.y[-N_VALID:])

    def test_data(self) -> TensorDataset:
        x, y = read(self.folder, "t10k")
        return TensorDataset(pixels(x), y)


def read(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Images `[N, 1, 28, 28]` as bytes and labels `[N]` of `train` or `t10k`."""
    images, labels = (idx(folder, f"{part}-{name}-ubyte") for name in ("images-idx3", "labels-idx1"))
    return images.unsqueeze(1), labels.long()


def idx(folder: Path, name: str) -> Tensor:
    """The bytes of an idx file: two zeros, type, number of axes, the axes' sizes as big-endian words, then the data."""
    path = next((path for path in (folder / f"{name}.gz", folder / name) if path.is_file()), None)
    if path is None:
        offer = "`apt-get install dataset-fashion-mnist`, or `options: {data_dir: FOLDER}` with the four idx files"
        raise TaskError(f"Fashion-MNIST is not here: `{folder}` holds no `{name}.gz`; {offer}")
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    n_axes = data[3]
    shape = struct.unpack_from(f">{n_axes}I", data, 4)
    return torch.frombuffer(bytearray(data[4 + 4 * n_axes :]), dtype=torch.uint8).view(shape)


def pixels(images: Tensor) -> Tensor:
    """Bytes to numbers of mean zero and deviation one over the training images."""
    return (images / 255 - 0.286) / 0.353


def fit(model: nn.Module, x: Tensor, y: Tensor, epochs: int, size: int = 128) -> None:
    """Train with one cycle of the learning rate, mirroring every second image."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.05, fused=True)
    batches = [chosen for _ in range(epochs) for chosen in torch.randperm(len(x)).split(size)]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=len(batches))
    for chosen in batches:
        images = pixels(x[chosen])
        images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(3), images)
        F.cross_entropy(model(images), y[chosen]).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
