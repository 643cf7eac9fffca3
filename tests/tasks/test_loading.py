import re
import sys
from itertools import count

import pytest
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

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


class Unsized:
    def __getitem__(self, i):
        return i


class Unopened(IterableDataset):
    def __iter__(self):
        raise FileNotFoundError("shard-0.tar")


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
        ({"train_data": lambda: iter([])}, r"`train_data\(\)`.*at least 8.* got 0"),
        ({"train_data": lambda: 5}, r"`train_data\(\)`.*map-style.* got int"),
        ({"train_data": lambda: DataLoader([1] * 9, batch_size=None)}, r"`train_data\(\)`.*single.*`batch_size=None`"),
        ({"train_data": lambda: DataLoader(Unsized())}, r"`train_data\(\)`.*map-style.* got Unsized"),
        ({"train_data": Unopened}, r"`train_data\(\)` failed: FileNotFoundError.*test_loading.py"),
        ({"valid_data": Unopened}, r"FileNotFoundError.*test_loading.py"),
        ({"valid_data": count}, r"`valid_data\(\)` must end.*islice"),
        ({"sample_weights": lambda: [1.0] * 3}, r"`sample_weights\(\)`.*\[10\].* got \[3\]"),
        ({"sample_weights": lambda: [0.0] * 10}, r"`sample_weights\(\)`.*all are zero"),
        ({"sample_weights": lambda: [1.0] * 9 + [-2.0]}, r"`sample_weights\(\)`.*got -2 for sample 9"),
        ({"sample_weights": lambda: [float("nan")] * 10}, r"`sample_weights\(\)`.*got nan for sample 0"),
        ({"sample_weights": lambda: "heavy"}, r"`sample_weights\(\)`.*one number per.*'heavy'"),
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
