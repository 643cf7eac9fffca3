"""DistillKit's YAML, in its own schema and loss functions; skipped where no checkout of it is installed."""

import pytest
from exports.conftest import MAPPINGS, TASKS

pytest.importorskip("distillkit")


class Deeper(TASKS["llama"]):
    """Its second layer is not the last, whose output is no hidden state."""

    def student(self):
        return self.llama(8, 3)


TASKS["deeper"] = Deeper
MAPPINGS["deeper"] = [
    ("model.layers.0", "model.layers.0", 1.0),
    ("model.layers.0", "model.layers.1", 0.25),
    ("model.layers.1", "model.layers.2", 0.5),
]


@pytest.mark.parametrize("loss", ["mse", "cosine"])
def test_it(loss, distilled, verified):
    report = verified("distillkit", distilled("deeper", loss=loss), lossy=True)
    assert report.equal
