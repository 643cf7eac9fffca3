import numpy as np
import pytest
import torch

from mapsearch.tasks.overlap import input_digest

X = torch.arange(12.0).view(4, 3)


@pytest.mark.parametrize(
    "data",
    [
        [(x, 0) for x in X],
        [(x.bfloat16(), 0) for x in X],
        [(x.numpy(), 0) for x in X],
        [{"x": x, "id": x.tolist(), "labels": 0} for x in X],
        list(X),
        [[int(v) for v in x] for x in X],
        [("text " + str(i), 0) for i in range(4)],
        [{"x": {"deep": x}} for x in X],
    ],
)
def test_inputs_of_every_kind_tell_samples_apart(data):
    digests = [input_digest(sample) for sample in data]
    assert len(set(digests)) == 4
    assert digests == [input_digest(sample) for sample in data]


def test_labels_do_not_matter():
    assert input_digest((X[0], 1)) == input_digest((X[0], 2))
    assert input_digest({"x": X[0], "labels": 1}) == input_digest({"x": X[0], "labels": 2})


@pytest.mark.parametrize("sample", [(object(), 0), ([[1, 2], [3]], 0), (np.array([None]), 0)])
def test_what_has_no_bytes_has_no_digest(sample):
    assert input_digest(sample) is None
