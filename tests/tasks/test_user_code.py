import re
import traceback

import pytest
import torch
from torch import nn

from mapsearch.core.errors import TaskError
from mapsearch.tasks.memory import is_out_of_memory
from mapsearch.tasks.user_code import describe, user_code


def test_an_error_is_one_line_with_the_users_own_line():
    with pytest.raises(RuntimeError, match="cannot be multiplied") as caught:
        nn.Linear(3, 2)(torch.zeros(4, 5))
    line = describe(caught.value)
    assert re.fullmatch(r"RuntimeError: mat1 and mat2 .* \(test_user_code.py:\d+\)", line)
    assert "site-packages" in traceback.extract_tb(caught.value.__traceback__)[-1].filename
    assert describe(ValueError("two\n  lines")) == "ValueError: two lines"


def test_an_error_is_text_that_every_database_takes():
    assert describe(OSError("no \udc80 and \0")) == r"OSError: no \udc80 and \x00"


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory")])
def test_memory_that_runs_out_is_told_with_a_way_out_and_still_known_for_what_it_is(error):
    told = r"`teacher\(\)` failed: .*test_user_code.*`train.batch_size`"
    with pytest.raises(TaskError, match=told) as caught, user_code("`teacher()`"):
        raise error
    assert is_out_of_memory(caught.value)


def test_any_other_failure_is_not_for_want_of_memory():
    with pytest.raises(TaskError, match="ValueError: no such file") as caught, user_code("`teacher()`"):
        raise ValueError("no such file")
    assert not is_out_of_memory(caught.value)
    assert "memory" not in str(caught.value)
