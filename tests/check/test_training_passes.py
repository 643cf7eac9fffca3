"""What a student does in training mode only is found before a run fails of it."""

import torch
from findings import codes, message
from small_tasks import ResidualConvNet
from torch import nn

from mapsearch.check import check


class Dropped(nn.Module):
    """A block that is left out in half of the training passes, as with layer drop."""

    def __init__(self, block):
        super().__init__()
        self.inner = block

    def forward(self, x):
        return x if self.training and torch.rand(()) < 0.5 else self.inner(x)


def test_layers_that_training_passes_leave_out_are_named_with_the_way_out(vision, study):
    def student():
        made = ResidualConvNet(4, 2)
        made.blocks[1] = Dropped(made.blocks[1])
        return made

    report = check(vision(student=student), study(layers={"student": ["blocks.1.inner"]}))
    assert "`blocks.1.inner`" in message(report, "layers.dropped")
    assert "layerdrop=0" in message(report, "layers.dropped")


def test_parameters_that_nothing_teaches_are_named(vision, study):
    def student():
        made = ResidualConvNet(4, 2)
        made.second_head = nn.Linear(4, 4)
        return made

    report = check(vision(student=student), study())
    assert "`second_head.weight`" in message(report, "gradients.untaught")


def test_outputs_of_another_form_in_training_are_named(vision, study):
    class TwoForms(ResidualConvNet):
        def forward(self, x):
            output = super().forward(x)
            return [output, output] if self.training else (output,)

    report = check(vision(student=lambda: TwoForms(4, 2)), study())
    assert "list(" in message(report, "student.modes_differ")


def test_a_sound_student_has_none_of_these_findings(vision, study):
    report = check(vision(), study())
    assert not {"layers.dropped", "student.modes_differ", "gradients.untaught"} & {*codes(report, "error")}
    assert not {"layers.dropped", "student.modes_differ", "gradients.untaught"} & {*codes(report, "warning")}
