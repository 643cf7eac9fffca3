from typing import get_args

import pytest

from mapsearch.core.outputs import (
    OUTPUT_LOSS_KINDS,
    TRIED_OUTPUT_LOSSES,
    USES_TEMPERATURE,
    WORKS_ACROSS_WIDTHS,
    OutputKind,
    Outputs,
)
from mapsearch.core.recipe import OutputLossName

KINDS = get_args(OutputKind)
LOSSES = get_args(OutputLossName)


def test_every_loss_and_kind_has_its_row():
    assert set(OUTPUT_LOSS_KINDS) == set(LOSSES)
    assert set(TRIED_OUTPUT_LOSSES) == set(KINDS)
    assert set(LOSSES) >= USES_TEMPERATURE | WORKS_ACROSS_WIDTHS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("same_width", [True, False])
def test_what_is_tried_fits(kind, same_width):
    outputs = Outputs(kind, same_width=same_width)
    assert all(outputs.problem(loss) == "" for loss in outputs.losses)
    assert bool(outputs.losses) == (kind == "classes" or (kind != "none" and same_width) or kind == "embedding")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_that_does_not_fit_is_told_what_does(kind, loss):
    problem = Outputs(kind).problem(loss)
    assert (problem == "") == (kind in OUTPUT_LOSS_KINDS[loss])
    if problem:
        assert f"the outputs are {kind}" in problem
        assert all(fitting in problem for fitting in TRIED_OUTPUT_LOSSES[kind])


def test_json_gives_equal_outputs_back():
    outputs = Outputs("values", mean=(0.5, 1.0), sd=(1.0, 2.0), has_loss=False, why="labels are real numbers")
    assert Outputs.from_json(outputs.to_json()) == outputs
