"""Full float32 while an export is verified, and the user's settings afterwards."""

import subprocess
import sys

import pytest

PROGRAM = """
import torch
{setting}
settings = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.mkldnn.matmul)
def now():
    return [each.fp32_precision for each in settings]
from mapsearch.exports.frameworks.arithmetic import without_tf32
before = now()
with without_tf32():
    print(not {{"tf32", "bf16"}} & set(now()))
print(now() == before)
"""


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
