"""scikit-learn's bundled diabetes: 442 patients, ten measurements each, how far the disease got within a year."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_diabetes
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import mapsearch

N_TRAIN, N_VALID = 242, 80


class Block(nn.Module):
    """Two linear maps beside a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.wide, self.narrow = nn.LayerNorm(width), nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.narrow(F.gelu(self.wide(self.norm(x))))


class Network(nn.Module):
    """Ten measurements, blocks, one value `[B, 1]`."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(10, width), nn.Linear(width, 1)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Diabetes(mapsearch.Task):
    """`patients` of the teacher's 242 to train on, 80 to validate, 120 to test; targets have standard deviation one.

    Loss and metrics are the default ones of real numbers.
    """

    def __init__(self, patients: int = 60) -> None:
        self.n_patients = patients
        data = load_diabetes()
        order = torch.randperm(len(data.target), generator=torch.Generator().manual_seed(0))
        x, y = (torch.tensor(part, dtype=torch.float32)[order] for part in (data.data, data.target))
        self.x, self.y = ((part - part[:N_TRAIN].mean(0)) / part[:N_TRAIN].std(0) for part in (x, y))

    def teacher(self) -> nn.Module:
        """Four blocks of width 64, trained on 242 patients, with noise so that it does not learn them by heart."""
        model = Network(64, 4)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
        for _ in range(150):
            chosen = torch.randint(N_TRAIN, (64,))
            loss = F.mse_loss(model(self.x[chosen] + 0.5 * torch.randn(64, 10))[:, 0], self.y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return model

    def student(self) -> nn.Module:
        """Two blocks of width 16."""
        return Network(16, 2)

    def train_data(self) -> TensorDataset:
        return TensorDataset(self.x[: self.n_patients], self.y[: self.n_patients])

    def valid_data(self) -> TensorDataset:
        return TensorDataset(self.x[N_TRAIN:][:N_VALID], self.y[N_TRAIN:][:N_VALID])

    def test_data(self) -> TensorDataset:
        return TensorDataset(self.x[N_TRAIN + N_VALID :], self.y[N_TRAIN + N_VALID :])
