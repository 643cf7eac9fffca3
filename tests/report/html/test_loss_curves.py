"""Loss curves of a trial's runs."""

import pytest

from mapsearch.core.runs import Run, RunResult
from mapsearch.report.html.loss_curves import MOST_LINES, loss_curves


def run(seed, *losses, n_steps=20):
    curve = tuple((10 * i, loss) for i, loss in enumerate(losses))
    key = (0, 1, seed)
    return Run(0, 1, seed, "confirm", "test", n_steps, "complete", 1, 0.5, RunResult(key, "complete", curve=curve))


def test_the_longest_runs_are_drawn():
    curves = loss_curves([run(0, 9.0, 8.0, n_steps=10), run(1, 2.0, 1.0, 0.5)])
    assert [(curve.seed, curve.first, curve.last) for curve in curves.curves] == [(1, 2.0, 0.5)]
    assert curves.curves[0].line.split()[0] == "10.0,6.0"


@pytest.mark.parametrize(("losses", "logarithmic"), [((16.0, 0.4), True), ((2.0, 1.0), False), ((16.0, -1.0), False)])
def test_a_wide_range_of_positive_losses_is_logarithmic(losses, logarithmic):
    assert loss_curves([run(0, *losses)]).logarithmic == logarithmic


def test_losses_that_were_not_finite_are_left_out():
    assert loss_curves([run(0, 1.0, None, 0.5)]).curves[0].line.count(",") == 2
    assert loss_curves([run(0, 1.0, None)]) is None
    assert loss_curves([]) is None


def test_a_few_seeds_of_many_are_drawn_and_a_constant_loss_has_a_place():
    curves = loss_curves([run(seed, 1.0, 1.0) for seed in range(9)])
    assert (len(curves.curves), curves.n_runs) == (MOST_LINES, 9)
