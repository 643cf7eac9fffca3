"""Scenes of four of scikit-learn's bundled digits, to be segmented: which digit's ink each pixel is, or none's."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import mapsearch

N_CLASSES = 11
"""The ten digits, and paper, which comes last."""
INK = 0.4
"""Grey value from which a pixel is ink."""


class Block(nn.Module):
    """Two convolutions beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class Network(nn.Module):
    """A stem that halves the grid, blocks, and the class scores of every pixel, `[B, 11, 16, 16]`."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, 2, padding=1)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.head = nn.ConvTranspose2d(width, N_CLASSES, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class MeanIoU:
    """The mean over the classes of how much of their union two segmentations share, over the whole set."""

    def __init__(self) -> None:
        self.counts = torch.zeros(N_CLASSES, N_CLASSES)  # [label, answer]

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        pairs = N_CLASSES * labels.flatten() + outputs.argmax(1).flatten()
        self.counts += torch.bincount(pairs.cpu(), minlength=N_CLASSES**2).view(N_CLASSES, N_CLASSES)

    def compute(self) -> float:
        shared = self.counts.diag()
        union = self.counts.sum(0) + self.counts.sum(1) - shared
        return float((shared / union.clamp(min=1)).mean())


class DigitScenes(mapsearch.Task):
    """`scenes` to train on, 100 to validate and 200 to test, each of other digits."""

    def __init__(self, scenes: int = 300, teacher_steps: int = 250) -> None:
        data = load_digits()
        order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
        self.x, self.y = torch.tensor(data.images, dtype=torch.float32)[order] / 16, torch.tensor(data.target)[order]
        self.n_scenes, self.teacher_steps = scenes, teacher_steps

    def teacher(self) -> nn.Module:
        """Six blocks of width 32, trained on scenes of 1,000 digits, once; kept beside the study database."""
        model, path = Network(32, 6), self.cache_dir / f"digit-scenes-teacher-{self.teacher_steps}.pt"
        if not path.exists():
            self._train(model)
            torch.save(model.state_dict(), path)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    def student(self) -> nn.Module:
        """Two blocks of width 16."""
        return Network(16, 2)

    def train_data(self) -> TensorDataset:
        return self._scenes(self.n_scenes, 0, 1000, seed=1)

    def valid_data(self) -> TensorDataset:
        return self._scenes(100, 1000, 1300, seed=2)

    def test_data(self) -> TensorDataset:
        return self._scenes(200, 1300, len(self.y), seed=3)

    def metric_objects(self) -> dict[str, MeanIoU]:
        return {"miou": MeanIoU()}

    def _scenes(self, n: int, start: int, stop: int, seed: int) -> TensorDataset:
        """Images `[n, 1, 16, 16]` of four digits each, and the class of every pixel, `[n, 16, 16]`."""
        chosen = torch.randint(start, stop, (n, 2, 2), generator=torch.Generator().manual_seed(seed))
        images = self.x[chosen].permute(0, 1, 3, 2, 4).reshape(n, 16, 16)  # [n, row, y, column, x]
        digits = self.y[chosen].repeat_interleave(8, 1).repeat_interleave(8, 2)
        return TensorDataset(images.unsqueeze(1), digits.where(images > INK, N_CLASSES - 1))

    def _train(self, model: nn.Module) -> None:
        images, labels = self._scenes(1000, 0, 1000, seed=4).tensors
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=self.teacher_steps)
        for _ in range(self.teacher_steps):
            chosen = torch.randint(len(images), (32,))
            F.cross_entropy(model(images[chosen]), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
