"""The decision as plain text."""

from dataclasses import replace

from mapsearch.report.html.decision import decision_text
from mapsearch.report.html.decision_note import decision_note
from mapsearch.report.html.numbers import Unit


def test_it_says_what_to_do_why_at_what_cost_and_on_what_it_rests(details):
    found = details()
    text = decision_text(found, Unit("accuracy", 100, 2))
    lines = decision_note(found.overview, text, "2026-11-27").split("\n")
    assert lines[0].startswith("digits: Use the teacher's outputs.")
    assert any("ties with the outputs alone" in line for line in lines)
    assert any(line.startswith("At what cost? 1.00") for line in lines)
    assert "Mind: a warning about `space.lr`" in lines
    assert "4 fresh seeds" in lines[-1]
    assert "2026-11-27" in lines[-1]


def test_before_a_verdict_there_is_none(details):
    found = details(verdict=None)
    text = decision_text(found, Unit("accuracy", 100, 2))
    assert decision_note(replace(found.overview, verdict=None), text, "2026-11-27") == ""
