"""Learners: what weighs the teacher layers of each student layer while a student trains."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

WIDTH, LEARNING_RATE = 32, 0.05
"""Of queries and keys; of what weighs the teacher layers, by Adam."""


@dataclass(frozen=True)
class Step:
    """What a learner sees of a batch: features by layer, and the loss of every pair `[S, T]`, 0 where not legal."""

    student: dict[str, Tensor]
    teacher: dict[str, Tensor]
    losses: Tensor
    parameters: list[nn.Parameter]


class Learner(ABC):
    """What weighs the teacher layers of each student layer: rows of `[S, T]` that sum to one."""

    @abstractmethod
    def weights(self, step: Step) -> Tensor:
        """The weights of this batch, through which the student's loss may reach what made them."""

    @abstractmethod
    def learn(self, step: Step) -> None:
        """Change them; called once the gradients of the student's loss are there, before the student takes its step."""


class Attention(Learner):
    """By how alike the samples of a batch are at each layer."""

    def __init__(self, legal: Tensor, n_samples: int) -> None:
        self._legal = legal
        self._queries, self._keys = (
            nn.Sequential(nn.Linear(n_samples, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH)) for _ in range(2)
        )
        self._adam = torch.optim.Adam([*self._queries.parameters(), *self._keys.parameters()], LEARNING_RATE)

    def weights(self, step: Step) -> Tensor:
        """Softmax over scalar products, averaged over the samples."""
        queries, keys = (
            torch.stack([network(_alike(features.detach())) for features in side.values()])
            for network, side in ((self._queries, step.student), (self._keys, step.teacher))
        )
        products = torch.einsum("sbw,tbw->bst", queries, keys) / WIDTH**0.5
        return products.masked_fill(~self._legal, -torch.inf).softmax(-1).mean(0)

    def learn(self, step: Step) -> None:
        """By the gradient of the student's own loss."""
        self._adam.step()
        self._adam.zero_grad()


class ValidationGradient(Learner):
    """By what a pair's gradient would do to the loss on validation samples."""

    def __init__(self, legal: Tensor, losses: Iterator[Tensor]) -> None:
        self._legal, self._losses = legal, losses
        self._numbers = nn.Parameter(torch.zeros(legal.shape))
        self._adam = torch.optim.Adam([self._numbers], LEARNING_RATE)

    def weights(self, step: Step) -> Tensor:
        """Softmax of the numbers, which the student's own loss does not reach."""
        return self._softmax().detach()

    def learn(self, step: Step) -> None:
        """A pair that moves the student as the validation loss asks for becomes heavier."""
        wanted, gains = _gradient(next(self._losses), step.parameters), torch.zeros(self._legal.shape)
        for s, t in self._legal.nonzero().tolist():
            gains[s, t] = _gradient(step.losses[s, t], step.parameters) @ wanted
        gains = gains / gains.norm().clamp(min=1e-12)
        (-(self._softmax() * gains).sum()).backward()  # type: ignore[no-untyped-call]
        self._adam.step()
        self._adam.zero_grad()

    def _softmax(self) -> Tensor:
        return self._numbers.masked_fill(~self._legal, -torch.inf).softmax(-1)


def _alike(features: Tensor) -> Tensor:
    """How alike the samples are, `[B, B]`: cosines of what is left of them without their mean."""
    rows = features.float().flatten(1)
    rows = nn.functional.normalize(rows - rows.mean(0), dim=1)
    return rows @ rows.T


def _gradient(loss: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    parts = torch.autograd.grad(loss, parameters, retain_graph=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])
