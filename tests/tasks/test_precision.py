import pytest
import torch

from mapsearch.tasks.precision import forward_precision


@pytest.mark.parametrize(
    ("precision", "dtype"), [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_the_type_of_a_forward_pass_on_a_cpu(precision, dtype):
    with forward_precision(precision, torch.device("cpu")):
        assert torch.nn.Linear(2, 2)(torch.randn(2, 2)).dtype == dtype
