import torch
from torch import nn
from torch.utils.data import TensorDataset

from mapsearch.tasks.loading import open_task
from mapsearch.tasks.output_kinds import decide_outputs
from mapsearch.tasks.task import Task

N, LENGTH = 16, 6
IDS = torch.randint(1, 11, (N, LENGTH), generator=torch.Generator().manual_seed(0))
REAL = torch.arange(LENGTH) < 2 + torch.arange(N)[:, None] % 5


class PerToken(nn.Module):
    """One score for each token, as ELECTRA's detector of replaced ones has it."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 1)

    def forward(self, ids):
        return self.embedding(ids)[..., 0]


class PerSample(PerToken):
    """As many scores of each sample as it has tokens."""

    def forward(self, ids):
        return self.embedding(ids)[:, 0] * torch.linspace(-1, 1, LENGTH)


class Tokens(Task):
    def __init__(self, network, labels):
        self.network, self.given = network, labels

    def teacher(self):
        return self.network()

    student = teacher

    def train_data(self):
        return TensorDataset(IDS, self.given)

    valid_data = train_data

    def mask(self, batch):
        return REAL[: len(batch[0])]


def decided(network, labels):
    loaded = open_task(Tokens(network, labels), "cpu")
    loaded.task.output_form = decide_outputs(loaded, "auto", "float32")
    return loaded.task


def test_one_score_for_each_token_is_told_from_as_many_of_each_sample():
    for labels in ((IDS > 5).long(), IDS * 1.5):
        assert decided(PerToken, labels).output_form.per_token
        assert not decided(PerSample, labels).output_form.per_token


def test_padded_tokens_are_neither_learned_nor_measured():
    task, batch = decided(PerToken, (IDS > 5).long()), (IDS, (IDS > 5).long())
    scores = torch.randn(N, LENGTH, generator=torch.Generator().manual_seed(1))
    known = nn.functional.binary_cross_entropy_with_logits(scores[REAL], batch[1][REAL].float())
    assert torch.allclose(task.loss(scores, batch), known)
    assert torch.equal(task.metrics(scores, batch)["accuracy"][..., 0].isnan(), ~REAL)
