"""Networks whose layers have names that a framework or a file could mistake for its own, run in every framework."""

import pytest
import torch
from exports.conftest import MAPPINGS, TASKS
from torch import nn

ODD = ["mask", "aliases", 'it\'s "5" \\', "terms", "\x1b[31m\u202e", "étage $loss"]


class OddNet(nn.Module):
    """A convolution of each name, one after the other; names hold no dot, but anything else."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [3, *(width for _ in ODD)]
        for name, n_in, n_out in zip(ODD, widths, widths[1:], strict=False):
            self.add_module(name, nn.Conv2d(n_in, n_out, 3, padding=1))
        self.head = nn.Linear(width, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in ODD:
            x = torch.relu_(self.get_submodule(name)(x))
        return self.head(x.mean((2, 3)))


class Odd(TASKS["images"]):
    def teacher(self):
        return OddNet(6)

    def student(self):
        return OddNet(4)


TASKS["odd"] = Odd
MAPPINGS["odd"] = [(name, name, 1.0) for name in ODD]


@pytest.mark.parametrize("aggregation", ["sum", "mix"])
@pytest.mark.parametrize("target", ["mapsearch", "torch", "torchdistill", "modelopt"])
def test_any_name_of_a_layer_is_run_unchanged(target, aggregation, distilled, verified):
    study = distilled("odd", aggregation=aggregation)
    children = [name for name, _ in study.loaded.teacher.named_children()]
    assert verified(target, study).differences == ()
    assert [name for name, _ in study.loaded.teacher.named_children()] == children
