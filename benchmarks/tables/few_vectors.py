"""The cheapest real pair: a deep MLP on scikit-learn's digits, half of its layers and weights, and thirty images."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import mapsearch

WIDTH, N_BLOCKS, KEPT_BLOCKS = 48, 6, (0, 2, 4)
N_TRAIN, N_VALID = 1000, 397


class Block(nn.Module):
    """A linear layer without a shortcut: a network that lacks some of them has everything to repair."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.linear(self.norm(x)))


class Network(nn.Module):
    """A stem, blocks and a head, on flattened images."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(64, WIDTH), nn.Linear(WIDTH, 10)
        self.blocks = nn.Sequential(*(Block() for _ in range(N_BLOCKS)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x.flatten(1))))


class FewVectors(mapsearch.Task):
    """`images` labelled ones, drawn anew for each seed; 397 to validate, 400 to test."""

    def __init__(self, images: int = 30, teacher_steps: int = 1000) -> None:
        data = load_digits()
        order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
        self.x = torch.tensor(data.images, dtype=torch.float32)[order] / 16
        self.y, self.n_images, self.teacher_steps = torch.tensor(data.target)[order], images, teacher_steps

    def teacher(self) -> nn.Module:
        """Trained on 1,000 images, once; kept beside what else the pair keeps."""
        model, path = Network(), self.cache_dir / "few-vectors-teacher.pt"
        if not path.exists():
            optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
            for _ in range(self.teacher_steps):
                chosen = torch.randint(N_TRAIN, (64,))
                F.cross_entropy(model(self.x[chosen]), self.y[chosen]).backward()
                optimizer.step()
                optimizer.zero_grad()
            torch.save(model.state_dict(), path)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    def student(self) -> nn.Module:
        """Stem, blocks 0, 2 and 4 and head of the teacher, copied."""
        model = self.teacher()
        assert isinstance(model, Network)
        model.blocks = nn.Sequential(*[model.blocks[i] for i in KEPT_BLOCKS])
        return model

    def train_data(self, seed: int = 0) -> TensorDataset:
        """Images drawn anew for each seed."""
        drawn = torch.randperm(N_TRAIN, generator=torch.Generator().manual_seed(seed))[: self.n_images]
        return TensorDataset(self.x[drawn], self.y[drawn])

    def valid_data(self) -> TensorDataset:
        return self._part(N_TRAIN, N_TRAIN + N_VALID)

    def test_data(self) -> TensorDataset:
        return self._part(N_TRAIN + N_VALID, len(self.y))

    def _part(self, start: int, stop: int) -> TensorDataset:
        return TensorDataset(self.x[start:stop], self.y[start:stop])
