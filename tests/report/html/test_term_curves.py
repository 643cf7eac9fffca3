"""The terms of a run's loss over its training."""

import pytest

from mapsearch.core.runs import Run, RunResult
from mapsearch.report.html.term_curves import MOST_LINES, term_curves


def run(curve, terms=("task", "outputs"), n_steps=40, seed=1):
    key = (0, 1, seed)
    result = RunResult(key, "complete", terms=terms, term_curve=curve)
    return Run(0, 1, seed, "confirm", "test", n_steps, "complete", 1, 0.5, result)


CURVE = ((10, (1.0, 8.0)), (20, (0.1, 4.0)), (40, (0.0, 2.0)))


def test_a_line_for_each_term_the_largest_first():
    found = term_curves([run(CURVE), run(CURVE[:2], n_steps=20, seed=2)])
    assert [(line.term, line.first, line.last) for line in found.lines] == [("outputs", 8.0, 2.0), ("task", 1.0, 0.0)]
    assert (found.seed, found.n_terms) == (1, 2)
    height = [float(point.partition(",")[2]) for point in found.lines[1].line.split()]
    assert height == sorted(height)  # it falls, and zero lies at the lower edge
    assert height[-1] == pytest.approx(86.0)


def test_of_many_terms_the_largest_are_drawn():
    names = tuple(f"a <- {i}" for i in range(9))
    found = term_curves([run(((1, tuple(range(9))), (2, tuple(range(9)))), names)])
    assert [line.term for line in found.lines] == [f"a <- {i}" for i in range(8, 8 - MOST_LINES, -1)]
    assert found.n_terms == 9


def test_what_was_not_recorded_or_was_not_finite_is_not_drawn():
    assert term_curves([run(())]) is None
    assert term_curves([run(((1, (None, 1.0)), (2, (1.0, 1.0))))]) is None
    assert term_curves([run(((1, (0.0, 0.0)), (2, (0.0, 0.0))))]) is None
