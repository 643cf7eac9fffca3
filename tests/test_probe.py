import pytest
import torch
from torch import nn

from mapsearch.core.errors import LayerNotFound, TaskError
from mapsearch.probe import compare


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return torch.relu_(self.drop(self.linear(x)) + x)  # overwritten in place


class Words(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.words = nn.Embedding(20, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.head = nn.Linear(width, 2)

    def forward(self, words):
        x = self.words(words)
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


def networks():
    torch.manual_seed(0)
    return Words(16, 3), Words(8, 2)


def batches(padding, n=96, length=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    words = torch.randint(1, 20, (n, length), generator=generator)
    real = torch.arange(length) < torch.randint(2, length + 1, (n, 1), generator=generator)
    words = words.masked_fill(~real, padding)
    return [(words[i : i + 40], real[i : i + 40]) for i in range(0, n, 40)]


def test_two_networks_in_one_call():
    teacher, student = networks()
    similarity = compare(teacher, student, batches(0))
    assert similarity.student_layers == ("blocks.0", "blocks.1")
    assert similarity.teacher_layers == ("blocks.0", "blocks.1", "blocks.2")
    assert [len(row) for row in similarity.values] == [3, 3]
    assert similarity.n_samples == 96
    assert 0 < similarity.noise_floor < 0.5


def test_a_network_is_like_itself():
    teacher, _ = networks()
    values = compare(teacher, teacher, batches(0)).values
    assert [values[i][i] for i in range(3)] == pytest.approx([1.0] * 3, abs=1e-6)


def test_padding_changes_nothing_when_it_is_masked():
    teacher, student = networks()
    masked = [compare(teacher, student, batches(p), mask=lambda batch: batch[1]).values for p in (0, 7)]
    unmasked = compare(teacher, student, batches(7)).values
    for row, other, without in zip(*masked, unmasked, strict=True):
        assert row == pytest.approx(other, abs=1e-9)
        assert row != pytest.approx(without, abs=1e-3)


def test_padding_may_even_be_nan():
    teacher, student = networks()
    expected = compare(teacher, student, batches(0), mask=lambda batch: batch[1]).values
    with torch.no_grad():
        teacher.words.weight[0], student.words.weight[0] = torch.nan, torch.nan
    found = compare(teacher, student, batches(0), mask=lambda batch: batch[1].long()).values
    assert [list(row) for row in found] == [pytest.approx(row, abs=1e-9) for row in expected]


def test_modes_and_hooks_are_as_before():
    teacher, student = networks()
    teacher.eval()
    compare(teacher, student, batches(0))
    with pytest.raises(ZeroDivisionError):
        compare(teacher, student, batches(0), mask=lambda batch: 1 // 0)
    assert (teacher.training, student.training) == (False, True)
    assert not any(m._forward_hooks for network in (teacher, student) for m in network.modules())


def test_layers_may_be_named():
    teacher, student = networks()
    similarity = compare(teacher, student, batches(0), teacher_layers=["blocks.2", "words"], student_layers=["*.1"])
    assert similarity.teacher_layers == ("words", "blocks.2")
    assert similarity.student_layers == ("blocks.1",)
    with pytest.raises(LayerNotFound, match=r"teacher has no layer `blocks\.7`; did you mean"):
        compare(teacher, student, batches(0), teacher_layers=["blocks.7"])


def test_too_few_samples_are_refused():
    teacher, student = networks()
    with pytest.raises(TaskError, match="at least 64 samples must be given, but got 40"):
        compare(teacher, student, batches(0, n=40))
    with pytest.raises(TaskError, match="at least 64 samples must be given, but got no batch"):
        compare(teacher, student, [])
