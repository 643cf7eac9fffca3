"""A study's folder with a task file in it, and the task of that file."""

import sys

import pytest

from mapsearch.core.task_reference import TaskReference
from mapsearch.tasks.importing import import_task

SOURCE = """
import torch
from torch import nn
from torch.utils.data import TensorDataset
import mapsearch
from beside import WIDTH


class Small(mapsearch.Task):
    def __init__(self, width=WIDTH, fails=""):
        if fails:
            raise ValueError(fails)
        self.width = width

    def teacher(self):
        return nn.Linear(self.width, 2)

    def student(self):
        return nn.Sequential(nn.Linear(self.width, 2), nn.Dropout())

    def train_data(self):
        return TensorDataset(torch.randn(10, self.width), torch.zeros(10).long())

    def valid_data(self):
        return self.train_data()


class Half(mapsearch.Task):
    def teacher(self):
        return None


class Stranger:
    pass
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "task.py").write_text(SOURCE)
    (tmp_path / "beside.py").write_text("WIDTH = 3\n")
    (tmp_path / "broken.py").write_text("import torch\nx = 1 / 0\n")
    return tmp_path


@pytest.fixture
def build(folder):
    """Builds the task of a reference, by default that of the folder's task file."""
    return lambda reference="task.py:Small", **options: import_task(
        TaskReference(reference, folder, options, folder / "cache")
    )
