import re
import sys

import pytest
from torch import nn
from torch.utils.data import DataLoader

from mapsearch.core.errors import TaskError
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.loading import load_task, open_task


def test_a_study_becomes_a_loaded_task(folder):
    spec = StudySpec(name="s", task="task.py:Small", folder=folder, execution={"devices": "cpu"})
    loaded = load_task(spec.task_reference(folder), spec.execution)
    assert isinstance(loaded.teacher, nn.Linear)
    assert not loaded.teacher.training
    assert not any(p.requires_grad for p in loaded.teacher.parameters())
    assert [len(loaded.split("valid")), len(loaded.split("test"))] == [5, 5]
    (message,) = loaded.messages
    assert message.stage == "load"
    assert re.search("no test_data.* 10 ", message.text)


class Endless:
    def __len__(self):
        raise OverflowError("no end in sight")

    def __getitem__(self, i):
        return i


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": lambda: None}, r"`teacher\(\)`.* got NoneType"),
        ({"teacher": lambda: 1 / 0}, r"`teacher\(\)` failed: ZeroDivisionError: .*\(test_loading.py"),
        ({"train_data": lambda: 1 / 0}, "ZeroDivisionError: division by zero"),
        ({"teacher": lambda: sys.exit(0)}, r"`teacher\(\)` failed: `sys.exit"),
        ({"train_data": lambda: iter([])}, r"`train_data\(\)`.*map-style.* got list_iterator"),
        ({"train_data": lambda: DataLoader([1] * 9)}, r"`train_data\(\)`.*map-style.* got DataLoader.*`dataset`"),
        ({"train_data": Endless}, r"length of `train_data\(\)`.*OverflowError"),
        ({"train_data": list}, r"`train_data\(\)`.*at least 8.* got 0"),
        ({"valid_data": lambda: [1] * 7}, r"`valid_data\(\)`.*at least 8.* got 7"),
        ({"test_data": lambda: [1, 2, 3]}, r"`test_data\(\)`.*at least 4.* got 3"),
    ],
)
def test_a_task_that_cannot_be_opened_says_why(build, change, message):
    task = build()
    for name, method in change.items():
        setattr(task, name, method)
    with pytest.raises(TaskError, match=message):
        open_task(task, "cpu")


def test_test_data_of_the_task_is_kept_for_the_verdict(build):
    task = build()
    task.test_data = task.train_data
    loaded = open_task(task, "cpu")
    assert [len(loaded.valid), len(loaded.test), loaded.messages] == [10, 10, ()]
