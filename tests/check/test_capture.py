import shutil

import pytest
import torch
from findings import codes, message
from small_tasks import ResidualConvNet
from torch import nn
from torch.utils.checkpoint import checkpoint

from mapsearch.check import check

no_input_gradient = pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # in passes without any
as_torch_warns = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # its compiler looks at it


class Net(nn.Module):
    """Runs its `first` layer by `how`."""

    def __init__(self, how):
        super().__init__()
        self.how = how
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.conv(x)
        return self.head(self.second(self.how(self.first, x)).mean((2, 3)))


def under_no_grad(layer, x):
    with torch.no_grad():
        return layer(x)


def reentrant(layer, x):
    return checkpoint(lambda y: layer(y).tanh(), x, use_reentrant=True)


def not_reentrant(layer, x):
    return checkpoint(layer, x, use_reentrant=False)


@no_input_gradient
def test_a_feature_cut_off_by_a_reentrant_checkpoint_is_refused_by_name_with_the_way_out(vision, study):
    report = check(vision(student=lambda: Net(reentrant)), study(layers={"student": ["first", "second"]}))
    assert [finding.code for finding in report.errors] == ["layers.reentrant_checkpoint"]  # told once
    assert "`first`" in message(report, "layers.reentrant_checkpoint")
    assert "`use_reentrant=False`" in message(report, "layers.reentrant_checkpoint")


@no_input_gradient
def test_a_reentrant_checkpoint_beside_the_layers_is_refused_too(vision, study):
    report = check(vision(student=lambda: Net(reentrant)), study(layers={"student": ["second"]}))
    assert codes(report, "error") == ["layers.reentrant_checkpoint"]


def test_a_checkpoint_that_is_not_reentrant_passes(vision, study):
    report = check(vision(student=lambda: Net(not_reentrant)), study(layers={"student": ["first", "second"]}))
    assert not report.errors
    assert "outputs and 2 feature terms" in message(report, "gradients.alive")


def test_a_feature_without_gradient_is_refused_by_name(vision, study):
    report = check(vision(student=lambda: Net(under_no_grad)), study(layers={"student": ["first", "second"]}))
    assert codes(report, "error") == ["layers.no_gradient"]
    assert "`first`" in message(report, "layers.no_gradient")
    assert "`second`" not in message(report, "layers.no_gradient")


def compiled(module):
    return torch.compile(module, backend="eager")


def compiled_in_place(module):
    module.compile(backend="eager")
    return module


@pytest.mark.parametrize("compile_it", [compiled, compiled_in_place])
def test_layers_inside_a_compiled_graph_are_watched_eager_and_that_is_said(vision, study, compile_it):
    report = check(vision(student=lambda: compile_it(ResidualConvNet(4, 2))), study())
    assert "`blocks.0`, `blocks.1`" in message(report, "layers.compiled_whole")
    assert "compile the blocks one by one" in message(report, "layers.compiled_whole")
    assert [layer.path for layer in report.student] == ["blocks.0", "blocks.1"]
    assert not report.errors


@as_torch_warns
def test_blocks_compiled_one_by_one_are_watched_as_they_are(vision, study):
    def student():
        made = ResidualConvNet(4, 2)
        for i in range(2):
            made.blocks[i] = compiled(made.blocks[i])
        return made

    report = check(vision(student=student), study())
    assert not report.errors
    assert "layers.compiled" in codes(report, "ok")
    assert [layer.path for layer in report.student] == ["blocks.0", "blocks.1"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch's compiler needs g++ on a CPU")
def test_blocks_that_were_really_compiled_are_watched_as_they_run_eager(vision, study):
    def student():
        made = ResidualConvNet(4, 2)
        for i in range(2):
            made.blocks[i] = torch.compile(made.blocks[i])
        return made

    report = check(vision(student=student), study())
    assert not report.errors
    assert "layers.compiled" in codes(report, "ok")


@as_torch_warns
def test_a_block_that_gives_other_values_compiled_is_refused(vision, study):
    def wrong(graph, inputs):
        return lambda *args: tuple(2 * value for value in graph.forward(*args))

    def student():
        made = ResidualConvNet(4, 2)
        made.blocks[1] = torch.compile(made.blocks[1], backend=wrong)
        return made

    assert "`blocks.1`" in message(check(vision(student=student), study()), "layers.compiled_differs")
