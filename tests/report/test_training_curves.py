"""The picture of a training."""

from dataclasses import replace

import pytest
from report.test_model_card import report

from mapsearch.core.errors import MapsearchError
from mapsearch.report.pictures import plot_training
from mapsearch.report.training_curves import draw_training


def test_loss_and_metric_are_drawn_and_the_kept_step_is_marked():
    loss, metric = draw_training(replace(report("a $tudy"), kept_step=150)).axes
    assert loss.lines[0].get_xydata().tolist() == [[10, 2.0], [300, 1.0]]
    assert metric.lines[0].get_xydata().tolist() == [[150, 0.7], [300, 0.8]]
    assert metric.lines[1].get_xdata() == [150, 150]
    assert "a $tudy" in loss.get_title()


def test_it_is_written_like_every_picture(tmp_path):
    plot_training(report(), tmp_path / "losses.png")
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(MapsearchError, match=r"must end with \.png or \.svg"):
        plot_training(report(), tmp_path / "losses.gif")
