import sys

import pytest
import torch

from mapsearch.core.errors import TaskError
from mapsearch.tasks.loading import open_task


def test_one_seed_is_one_student_in_training_mode(build):
    loaded = open_task(build(), "cpu")
    one, same, other = loaded.new_student(1), loaded.new_student(1), loaded.new_student(2)
    assert one.training
    assert torch.equal(one[0].weight, same[0].weight)
    assert not torch.equal(one[0].weight, other[0].weight)


def test_a_student_that_is_no_module_is_refused(build):
    task = build()
    task.student = lambda: "a student"
    with pytest.raises(TaskError, match=r"`student\(\)` must return a torch module, but got str"):
        open_task(task, "cpu").new_student(0)


def test_a_student_that_leaves_is_an_error(build):
    loaded = open_task(build(), "cpu")
    loaded.task.student = lambda: sys.exit(0)
    with pytest.raises(TaskError, match=r"`student\(\)` failed: `sys.exit\(0\)`.*\(test_loaded_task.py"):
        loaded.new_student(0)


def test_a_sample_goes_by_the_users_name_for_it(build):
    task = build()
    task.test_data = lambda: None
    loaded = open_task(task, "cpu")
    assert loaded.sample_name(loaded.train, 3) == "`train_data[3]`"
    assert loaded.sample_name(loaded.valid, 3) == "`valid_data[6]`"
    assert loaded.sample_name(loaded.test, 3) == "`valid_data[7]`"
