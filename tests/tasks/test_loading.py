import random
import re
import sys
import traceback

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from mapsearch.core.errors import TaskError
from mapsearch.core.spec import StudySpec
from mapsearch.tasks.loading import choose_device, describe, import_task, load_task, open_task, seed_everything

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
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    (tmp_path / "task.py").write_text(SOURCE)
    (tmp_path / "beside.py").write_text("WIDTH = 3\n")
    (tmp_path / "broken.py").write_text("import torch\nx = 1 / 0\n")
    return tmp_path


def load(folder, reference="task.py:Small", **options):
    return import_task(reference, folder, options, folder / "cache")


def test_a_task_is_built_with_its_options_and_finds_the_modules_beside_it(folder):
    task = load(folder, width=5)
    assert task.width == 5
    assert task.cache_dir == folder / "cache"
    assert load(folder).width == 3


def test_a_study_becomes_a_loaded_task(folder):
    spec = StudySpec(name="s", task="task.py:Small", folder=folder, execution={"devices": "cpu"})
    loaded = load_task(spec, folder)
    assert isinstance(loaded.teacher, nn.Linear)
    assert not loaded.teacher.training
    assert not any(p.requires_grad for p in loaded.teacher.parameters())
    assert [len(loaded.split("valid")), len(loaded.split("test"))] == [5, 5]
    (message,) = loaded.messages
    assert message.stage == "load"
    assert re.search("no test_data.* 10 ", message.text)


@pytest.mark.parametrize(
    ("reference", "options", "message"),
    [
        ("tusk.py:Small", {}, r"the task file `.*tusk.py` does not exist; did you mean `task.py`\?"),
        ("task.py:Smal", {}, r"`task: task.py:Smal`: task.py has no class `Smal`; did you mean `Small`\?"),
        ("task.py:Stranger", {}, "`Stranger` must be a subclass of `mapsearch.Task`"),
        ("task.py:Half", {}, r"`Half` must define `student\(\)`, `train_data\(\)`, `valid_data\(\)`"),
        (
            "task.py:Small",
            {"widht": 3},
            r"`options` of `Small`: got an unexpected keyword argument 'widht'; it takes \(",
        ),
        ("task.py:Small", {"fails": "no"}, r"`Small\(...\)` of task.py failed: ValueError: no \(task.py:12\)"),
        ("broken.py:Small", {}, r"importing the task file `.*` failed: ZeroDivisionError: .* \(broken.py:2\)"),
        ("no.such.module:Small", {}, "importing the task module `no.such.module` failed: ModuleNotFoundError"),
    ],
)
def test_a_task_that_cannot_be_loaded_says_why(folder, reference, options, message):
    with pytest.raises(TaskError, match=message):
        load(folder, reference, **options)


def test_a_task_may_come_from_a_package(folder, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    (folder / "of_a_package.py").write_text(SOURCE)
    assert load(folder, "of_a_package:Small").width == 3


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
def test_a_task_that_cannot_be_opened_says_why(folder, change, message):
    task = load(folder)
    for name, method in change.items():
        setattr(task, name, method)
    with pytest.raises(TaskError, match=message):
        open_task(task, "cpu")


def test_test_data_of_the_task_is_kept_for_the_verdict(folder):
    task = load(folder)
    task.test_data = task.train_data
    loaded = open_task(task, "cpu")
    assert [len(loaded.valid), len(loaded.test), loaded.messages] == [10, 10, ()]


def test_one_seed_is_one_student_in_training_mode(folder):
    loaded = open_task(load(folder), "cpu")
    one, same, other = loaded.new_student(1), loaded.new_student(1), loaded.new_student(2)
    assert one.training
    assert torch.equal(one[0].weight, same[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)


def test_a_student_that_is_no_module_is_refused(folder):
    task = load(folder)
    task.student = lambda: "a student"
    with pytest.raises(TaskError, match=r"`student\(\)` must return a torch module, but got str"):
        open_task(task, "cpu").new_student(0)


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(TaskError, match=r"`execution.devices`: `gpu`.*use auto, cpu, cuda or cuda:N"):
        choose_device("gpu")
    with pytest.raises(TaskError, match=r"`execution.devices`: `cuda:99`.*\d+ GPUs"):
        choose_device("cuda:99")


def test_every_source_of_chance_is_seeded():
    def draw():
        seed_everything(2**40 + 1)
        return torch.rand(1).item(), np.random.rand(), random.random()

    assert draw() == draw()


def test_an_error_is_one_line_with_the_users_own_line():
    with pytest.raises(RuntimeError, match="cannot be multiplied") as caught:
        nn.Linear(3, 2)(torch.zeros(4, 5))
    line = describe(caught.value)
    assert re.fullmatch(r"RuntimeError: mat1 and mat2 .* \(test_loading.py:\d+\)", line)
    assert "site-packages" in traceback.extract_tb(caught.value.__traceback__)[-1].filename
    assert describe(ValueError("two\n  lines")) == "ValueError: two lines"


def test_a_student_that_leaves_is_an_error(folder):
    loaded = open_task(load(folder), "cpu")
    loaded.task.student = lambda: sys.exit(0)
    with pytest.raises(TaskError, match=r"`student\(\)` failed: `sys.exit\(0\)`.*\(test_loading.py"):
        loaded.new_student(0)


def test_a_sample_goes_by_the_users_name_for_it(folder):
    task = load(folder)
    task.test_data = lambda: None
    loaded = open_task(task, "cpu")
    assert loaded.sample_name(loaded.train, 3) == "`train_data[3]`"
    assert loaded.sample_name(loaded.valid, 3) == "`valid_data[6]`"
    assert loaded.sample_name(loaded.test, 3) == "`valid_data[7]`"
