"""A small vision study and a small text study that pass every check, and the means to break them."""

import types

import pytest
import torch
from small_tasks import ResidualConvNet, TokenNet
from torch.utils.data import TensorDataset

from mapsearch.core.spec import StudySpec
from mapsearch.tasks.loading import open_task
from mapsearch.tasks.task import Task


class Dicts:
    def __init__(self, columns):
        self.columns = columns

    def __len__(self):
        return len(self.columns["labels"])

    def __getitem__(self, i):
        return {name: values[i] for name, values in self.columns.items()}


class SmallTask(Task):
    """Made of parts; `methods` replace those of the class."""

    def __init__(self, teacher, student, train, valid, test, **methods):
        self._teacher, self._student, self._data = teacher, student, (train, valid, test)
        for name, method in methods.items():
            setattr(self, name, types.MethodType(method, self))

    def teacher(self):
        return self._teacher()

    def student(self):
        return self._student()

    def train_data(self):
        return self._data[0]

    def valid_data(self):
        return self._data[1]

    def test_data(self):
        return self._data[2]


def labelled_by(teacher, *inputs):
    """The teacher with its mean logits taken off, and its own choices as labels: it is always right."""
    with torch.no_grad():
        teacher.head.bias -= teacher(*inputs).mean(0)
        return teacher(*inputs).argmax(-1)


@pytest.fixture
def vision():
    """`vision(**parts)` -> the loaded of a sound CNN study, with those parts exchanged."""

    def loaded(**parts):
        torch.manual_seed(0)
        teacher, x = ResidualConvNet(8, 4), torch.randn(160, 1, 6, 6)
        y = labelled_by(teacher, x)
        data = [TensorDataset(x[i], y[i]) for i in (slice(0, 80), slice(80, 120), slice(120, 160))]
        sound = {"teacher": lambda: teacher, "student": lambda: ResidualConvNet(4, 2)}
        return open_task(
            SmallTask(**{**sound, **dict(zip(("train", "valid", "test"), data, strict=True)), **parts}), "cpu"
        )

    return loaded


@pytest.fixture
def text():
    """`text(**parts)` -> the loaded of a sound study of padded token ids in dict batches."""

    def loaded(*, without=(), **parts):
        torch.manual_seed(0)
        ids = torch.randint(1, 40, (160, 10))
        mask = (torch.arange(10) < torch.randint(3, 11, (160, 1))).long()
        ids, teacher = ids * mask, TokenNet(8, 4)
        columns = {"input_ids": ids, "attention_mask": mask, "labels": labelled_by(teacher, ids, mask)}
        columns = {name: column for name, column in columns.items() if name not in without}
        data = [Dicts({n: c[i] for n, c in columns.items()}) for i in (slice(0, 80), slice(80, 120), slice(120, 160))]
        sound = {"teacher": lambda: teacher, "student": lambda: TokenNet(4, 2)}
        return open_task(
            SmallTask(**{**sound, **dict(zip(("train", "valid", "test"), data, strict=True)), **parts}), "cpu"
        )

    return loaded


@pytest.fixture
def study():
    """`study(**keys)` -> a study file's spec."""

    def spec(**keys):
        train = {"steps": 20, "batch_size": 16, **keys.pop("train", {})}
        return StudySpec(name="small", task="task.py:Small", train=train, **keys)

    return spec
