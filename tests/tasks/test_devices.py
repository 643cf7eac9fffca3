import pytest
import torch

from mapsearch.core.errors import TaskError
from mapsearch.tasks.devices import choose_device


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(TaskError, match=r"`execution.devices`: `gpu`.*use auto, cpu, cuda or cuda:N"):
        choose_device("gpu")
    with pytest.raises(TaskError, match=r"`execution.devices`: `cuda:99`.*\d+ GPUs"):
        choose_device("cuda:99")
