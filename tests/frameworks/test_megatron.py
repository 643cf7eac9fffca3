"""Megatron's YAML, in the loss modules of ModelOpt's plugin and in real Megatron networks."""

import pytest


@pytest.mark.parametrize("loss", ["mse", "cosine"])
def test_it(loss, distilled, verified):
    report = verified("megatron", distilled("llama", loss=loss), lossy=True)
    assert report.equal
