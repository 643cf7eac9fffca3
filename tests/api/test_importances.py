"""Which settings mattered, of a real study and in its report."""

import pytest

import mapsearch
from mapsearch.api.reports import report_html
from mapsearch.proposers import importances as evaluator

pytest.importorskip("sklearn", reason="`scikit-learn` is not installed")


def test_a_real_study_and_its_report_say_the_same(finished, monkeypatch):
    monkeypatch.setattr(evaluator, "LEAST_TRIALS", 5)
    found = mapsearch.importances("tiny", finished[1])
    assert sum(part for _, part in found.parts) == pytest.approx(1.0)
    (best, _), *_ = found.labelled
    card = report_html("tiny", finished[1]).partition('id="importances"')[2].partition("</section>")[0]
    assert f"<span>{best}</span>" in card


def test_without_scikit_learn_a_report_leaves_them_out(finished, monkeypatch):
    monkeypatch.setattr(evaluator, "get_param_importances", _missing)
    monkeypatch.setattr(evaluator, "LEAST_TRIALS", 5)
    with pytest.raises(ImportError):
        mapsearch.importances("tiny", finished[1])
    text = report_html("tiny", finished[1])
    assert 'id="importances"' not in text
    assert 'id="search"' in text


def _missing(*_, **__):
    raise ImportError("scikit-learn")
