"""A task of your own: put your networks and data into these five methods and keep the rest."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import mapsearch

UNLABELLED = -100  # the task loss skips such samples; the teacher still teaches them


class Shapes(mapsearch.Task):
    """Noisy 12x12 pictures of a cross, a ring, a bar or a corner, drawn here so that nothing must be fetched."""

    def __init__(self, n_labels: int = 200) -> None:
        self.train, self.valid, self.test = draw(2000, seed=1), draw(500, seed=2), draw(500, seed=3)
        self.n_labels = n_labels

    def teacher(self) -> nn.Module:
        """Called once per process. Load your checkpoint here; this one is trained once and kept."""
        model, path = network(width=16, n_blocks=6), self.cache_dir / "shapes-teacher.pt"
        if not path.exists():
            fit(model, *self.train)
            torch.save(model.state_dict(), path)
        model.load_state_dict(torch.load(path, weights_only=True))
        return model

    def student(self) -> nn.Module:
        """Called once per run, under that run's seed: always build a new one."""
        return network(width=4, n_blocks=3)

    def train_data(self) -> TensorDataset:
        """Any dataset with len and indexing; a sample is `(x, label)` or a dict with `labels`."""
        x, y = self.train
        y = y.clone()
        y[self.n_labels :] = UNLABELLED
        return TensorDataset(x, y)

    def valid_data(self) -> TensorDataset:
        return TensorDataset(*self.valid)

    def test_data(self) -> TensorDataset:
        """Seen by the verdict only. Leave it out, and half of valid_data is set aside."""
        return TensorDataset(*self.test)

    # Metrics of the whole set that are not means over samples, such as F1, come from `metric_objects`: new objects with
    # `update` and `compute`, as torchmetrics has them; name one in study.yaml (`metric: f1`):
    #
    # def metric_objects(self):
    #     return {"f1": torchmetrics.F1Score("multiclass", num_classes=4, average="macro", ignore_index=UNLABELLED)}
    #
    # or from `score`, which gets all outputs and labels of the set at once:
    #
    # def score(self, outputs, labels):
    #     return {"f1": sklearn.metrics.f1_score(labels, outputs.argmax(-1), average="macro")}


def network(width: int, n_blocks: int) -> nn.Module:
    """A stem, blocks of which each second one halves the grid, and a linear head."""

    def block(n_in: int, n_out: int, stride: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, padding=1), nn.BatchNorm2d(n_out), nn.ReLU())

    stem = nn.Conv2d(1, width, 3, padding=1)
    blocks = nn.Sequential(*(block(width, width, 1 + (i == n_blocks // 2)) for i in range(n_blocks)))
    model = nn.Sequential(stem, blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 4))
    return model


def draw(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """`n` pictures `[n, 1, 12, 12]` and their classes."""
    generator = torch.Generator().manual_seed(seed)
    shape = torch.zeros(4, 5, 5)
    shape[0, 2, :] = shape[0, :, 2] = 1  # cross
    shape[1, [0, 4], :] = shape[1, :, [0, 4]] = 1  # ring
    shape[2, :, 1:3] = 1  # bar
    shape[3, 0, :] = shape[3, :, 0] = 1  # corner
    y = torch.randint(4, (n,), generator=generator)
    x = 0.4 * torch.randn(n, 1, 12, 12, generator=generator)
    for i, (row, column) in enumerate(torch.randint(8, (n, 2), generator=generator).tolist()):
        x[i, 0, row : row + 5, column : column + 5] += shape[y[i]]
    return x, y


def fit(model: nn.Module, x: Tensor, y: Tensor, steps: int = 400) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(steps):
        chosen = torch.randint(len(x), (64,))
        F.cross_entropy(model(x[chosen]), y[chosen]).backward()
        optimizer.step()
        optimizer.zero_grad()
