"""SilverSpoon-KD's builder, in its own distiller."""

import pytest


@pytest.mark.parametrize("task", ["images", "tags", "llama", "bert"])
@pytest.mark.parametrize("fields", [{}, {"aggregation": "mix"}])
def test_it(task, fields, distilled, verified):
    report = verified("silverspoon", distilled(task, **fields))
    assert report.equal
