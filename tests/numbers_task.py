"""A task whose samples are their own index."""

import torch
from torch import nn
from torch.utils.data import TensorDataset

from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.task import Task


class Numbers(Task):
    """Samples are their own index; the network's output is not looked at."""

    def teacher(self):
        return nn.Identity()

    def student(self):
        return nn.Identity()

    def train_data(self):
        return TensorDataset(torch.arange(20.0).unsqueeze(1), torch.arange(20) % 2)

    def valid_data(self):
        return self.train_data()


def loaded(task=None, data=None):
    task = task or Numbers()
    data = data if data is not None else task.train_data()
    return LoadedTask(task, nn.Identity(), data, data, data, torch.device("cpu"))


def order(batches):
    return [x.flatten().int().tolist() for x, _ in batches]
