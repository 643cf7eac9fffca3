import subprocess
import sys

import pytest
import torch

from mapsearch.tasks.precision import forward_precision

PROGRAM = """
import torch
{setting}
settings = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.mkldnn.matmul)
def now():
    return [each.fp32_precision for each in settings]
from mapsearch.tasks.precision import without_tf32
before = now()
with without_tf32():
    print(not {{"tf32", "bf16"}} & set(now()))
print(now() == before)
"""


@pytest.mark.parametrize(
    ("precision", "dtype"), [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_the_type_of_a_forward_pass_on_a_cpu(precision, dtype):
    with forward_precision(precision, torch.device("cpu")):
        assert torch.nn.Linear(2, 2)(torch.randn(2, 2)).dtype == dtype


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "torch.set_float32_matmul_precision('high')",
        "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
        "torch.backends.mkldnn.matmul.fp32_precision = 'bf16'",
    ],
)
def test_whatever_a_user_has_set_is_off_inside_and_back_afterwards(setting):
    """In a fresh process: PyTorch remembers which of its two ways of setting precisions was used."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM.format(setting=setting)]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() == ["True", "True"]
