"""The targets that need no framework, on Hugging Face transformers: what the other targets are held against."""

import pytest


@pytest.mark.parametrize("task", ["bert", "llama"])
@pytest.mark.parametrize("target", ["mapsearch", "torch"])
def test_hugging_face_transformers_give_the_loss_of_the_trial(target, task, distilled, verified):
    assert verified(target, distilled(task)).differences == ()
