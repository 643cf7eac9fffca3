import pytest
import torch
from small_tasks import Clusters, Net, load
from torch import nn

from mapsearch.core.train_spec import TrainSpec
from mapsearch.training.caching import why_not_cached

TRAIN = TrainSpec(steps=12, batch_size=16)


class Pairwise(Net):
    """Outputs similarities of all samples of the batch, `[B, B]`, as contrastive models do."""

    def forward(self, x):
        scores = super().forward(x)
        return scores @ scores.T


class Centred(nn.Module):
    """Takes the batch's mean off a feature, in evaluation mode too."""

    def forward(self, x):
        return x - x.mean(0)


class Mixing(Net):
    """A layer sees the whole batch, and the outputs hardly change by it."""

    def __init__(self, width, depth):
        super().__init__(width, depth)
        self.centred = Centred()

    def forward(self, x):
        return super().forward(x) + 1e-9 * self.centred(x).sum(1, keepdim=True)


class TaughtBy(Clusters):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def teacher(self):
        return self.network(16, 4)


@pytest.mark.parametrize(
    ("network", "why"), [(Net, ""), (Pairwise, "what it outputs"), (Mixing, "its layer `centred` gives")]
)
def test_only_what_is_a_samples_own_is_cached(network, why):
    found = why_not_cached(load(TaughtBy(network)), TRAIN)
    assert (found == "") if not why else (why in found and "depends on the rest of the batch" in found)


def test_samples_that_change_are_not_cached():
    assert "random augmentation" in why_not_cached(load(Clusters(jitter=0.1)), TRAIN)


def test_no_hook_is_left_behind():
    loaded = load(Clusters())
    why_not_cached(loaded, TRAIN)
    assert not any(module._forward_hooks for module in loaded.teacher.modules())
    assert torch.is_grad_enabled()
