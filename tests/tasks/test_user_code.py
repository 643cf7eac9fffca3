import re
import traceback

import pytest
import torch
from torch import nn

from mapsearch.tasks.user_code import describe


def test_an_error_is_one_line_with_the_users_own_line():
    with pytest.raises(RuntimeError, match="cannot be multiplied") as caught:
        nn.Linear(3, 2)(torch.zeros(4, 5))
    line = describe(caught.value)
    assert re.fullmatch(r"RuntimeError: mat1 and mat2 .* \(test_user_code.py:\d+\)", line)
    assert "site-packages" in traceback.extract_tb(caught.value.__traceback__)[-1].filename
    assert describe(ValueError("two\n  lines")) == "ValueError: two lines"


def test_an_error_is_text_that_every_database_takes():
    assert describe(OSError("no \udc80 and \0")) == r"OSError: no \udc80 and \x00"
