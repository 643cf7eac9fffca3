import builtins

import matplotlib
import pytest
from matplotlib.figure import Figure

from mapsearch.display.pictures import Interval, draw_intervals, draw_matrix


@pytest.fixture(autouse=True)
def _without_windows():
    matplotlib.use("Agg")


def test_a_matrix_has_a_fixed_scale_and_every_name():
    axes = draw_matrix([[0.2, 0.3]], ["s$0"], ["t0", "t1"], "title", Figure().subplots())
    assert axes.images[0].get_clim() == (0, 1)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["t0", "t1"]
    axes.figure.canvas.draw()


def test_intervals_stand_in_their_order_with_the_margin():
    rows = [Interval("against none", 0.2, 0.1, 0.3), Interval("last", -0.1)]
    axes = draw_intervals(rows, "gain", 0.05)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["against none", "last"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert sorted(len(drawn.get_xdata()) for drawn in axes.lines) == [1, 1, 2, 2]
    matplotlib.pyplot.close(axes.figure)


def test_without_matplotlib_the_way_out_is_told(monkeypatch):
    real = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__", lambda name, *rest: _missing() if name == "matplotlib" else real(name, *rest)
    )
    with pytest.raises(ImportError, match=r"mapsearch\[plots\]"):
        draw_matrix([[0.2]], ["s"], ["t"], "")


def _missing():
    raise ImportError
