"""A report of a real study."""

import pytest

from mapsearch.api.reports import write_report
from mapsearch.core.errors import MapsearchError, StudyNotFound


def test_the_report_of_a_finished_study_has_its_decision(finished, tmp_path):
    file = tmp_path / "tiny.html"
    assert str(file) in write_report("tiny", file, storage=finished[1])
    text = file.read_text(encoding="utf-8")
    assert "What to do next" in text
    assert "blocks." in text
    assert "How alike the layers are" in text


def test_a_report_is_written_again(finished, tmp_path):
    file = tmp_path / "tiny.html"
    file.write_text("old")
    write_report("tiny", file, storage=finished[1])
    assert "old" not in file.read_text(encoding="utf-8")[:100]


def test_only_html_is_written(finished, tmp_path):
    with pytest.raises(MapsearchError, match=r"\.html.*study\.yaml"):
        write_report("tiny", tmp_path / "study.yaml", storage=finished[1])
    with pytest.raises(MapsearchError, match=r"none/x\.html: cannot be written"):
        write_report("tiny", tmp_path / "none" / "x.html", storage=finished[1])
    with pytest.raises(StudyNotFound, match="did you mean `tiny`"):
        write_report("tinny", tmp_path / "x.html", storage=finished[1])
