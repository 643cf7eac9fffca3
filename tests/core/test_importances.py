import matplotlib
import pytest

from mapsearch.core.importances import Importances

FOUND = Importances("tiny", "accuracy", (("lr_factor", 0.75), ("loss", 0.2)))


def test_settings_are_shown_by_what_people_call_them():
    assert FOUND.labelled == (("learning rate", 0.75), ("loss", 0.2))
    shown = FOUND._repr_html_()
    assert shown.index("learning rate") < shown.index("75.0%") < shown.index("loss") < shown.index("20.0%")


def test_the_picture_has_a_bar_for_each_on_a_scale_from_0_to_1():
    matplotlib.use("Agg")
    axes = FOUND.plot()
    assert [round(bar.get_width(), 2) for bar in axes.patches] == [0.75, 0.2]
    assert axes.get_xlim() == (0, 1)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["learning rate", "loss"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the largest on top"
    matplotlib.pyplot.close(axes.figure)


def test_a_frame_has_the_settings_by_their_names_in_the_study_file():
    pytest.importorskip("pandas")
    assert FOUND.to_frame().to_dict("list") == {"setting": ["lr_factor", "loss"], "part": [0.75, 0.2]}
