import json

import matplotlib
import pytest

import mapsearch
from mapsearch.report.shown_study import ShownStudy
from mapsearch.report.study_json import study_json


def test_what_show_gives_is_plain_data_that_shows_itself(finished):
    shown = mapsearch.show("tiny", finished[1])
    assert json.loads(json.dumps(shown)) == shown
    html = shown._repr_html_()
    assert "tiny: complete" in html
    assert "nominee against none" in html
    assert len(shown.to_frame()) == shown["n_trials"]
    assert set(shown.to_frame()["recipe.loss"]) == {"nmse"}
    matplotlib.use("Agg")
    axes = shown.plot()
    assert axes.get_yticklabels()[0].get_text() == "against none"
    matplotlib.pyplot.close(axes.figure)
    assert list(shown.verdict.to_frame()["control"])[:2] == ["none", "outputs"]


def test_a_study_without_a_verdict_says_so(finished):
    shown = ShownStudy({**mapsearch.show("tiny", finished[1]), "verdict": None})
    assert shown.verdict is None
    assert "best trials" in shown._repr_html_()
    with pytest.raises(ValueError, match="`tiny` has no verdict yet"):
        shown.plot()


def test_the_fields_are_those_of_show_json(finished):
    from mapsearch.api.queries import overview

    assert set(mapsearch.show("tiny", finished[1])) == set(study_json(overview("tiny", finished[1], None)))
