"""The report as a file: whole, self-contained, safe whatever names hold, and small for a large study."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.report.html.rendering import study_report
from mapsearch.report.html.study_page import SHOWN_TRIALS

VOID = {"meta", "br"}
HOSTILE = '</style><script>alert(1)</script>"\x1b[2J\u202e\n'


class Elements(HTMLParser):
    """Every element and its attributes; what is opened must be closed, in order."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open, (tag, self.getpos())
        assert self.open.pop() == tag, (tag, self.getpos())

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def report(details):
    return study_report(details, "2026-11-27 02:40 UTC")


@pytest.mark.parametrize("change", [{}, {"verdict": None, "state": "running"}, {"trials": (), "verdict": None}])
def test_the_page_is_whole_and_requests_nothing(details, change):
    text = report(details(**change))
    page = Elements(text)
    attributes = [name for _, given in page.found for name in given]
    assert not {"src", "style", "onclick", "onload"} & set(attributes)
    assert not page.all("script")
    assert all(given["href"].startswith("#") for given in page.all("a"))
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in re.sub("http-equiv", "", text)


def test_every_link_leads_somewhere_and_every_picture_has_words(details):
    page = Elements(report(details()))
    ids = {given["id"] for _, given in page.found if "id" in given}
    assert {given["href"][1:] for given in page.all("a")} <= ids
    assert {given["aria-labelledby"] for _, given in page.found if "aria-labelledby" in given} <= ids
    outer = [given for given in page.all("svg") if given.get("role") == "img"]
    assert len(outer) >= 6
    assert all(given["aria-label"].strip() for given in outer)
    assert len(page.all("details")) >= 5  # the tables behind the charts


def test_the_decision_comes_first_and_every_outcome_has_its_word(details):
    text = re.sub(r"<[^>]+>", " ", report(details()).partition("<main")[2])
    words = ["Use the teacher&#39;s outputs", "What to do next", "What was asked", "Which layers teach which"]
    places = [text.index(word) for word in words]
    assert places == sorted(places)
    assert "BEATS" in text
    assert "TIES" in text
    assert "not asked" in text


def test_hostile_names_are_text(details):
    mapping = LayerMapping([(HOSTILE, f"{HOSTILE}t", 1.0)])
    trials = [replace(t, recipe=Recipe(mapping, feature_share=0.5).to_json()) for t in details().overview.trials]
    text = report(details(name=HOSTILE, metric=HOSTILE, trials=tuple(trials)))
    Elements(text)
    assert "<script>alert" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"\x1b[2J\u202e\n" in text


def test_48_by_24_layers_and_10_000_trials_stay_below_a_megabyte(details, similarity):
    large = details(10_000)
    facts = replace(large.facts, similarity=similarity(48, 24), layers={})
    pairs = [(f"layers.{s}", f"encoder.layer.{t}.output", 1.0) for s in range(48) for t in range(24)]
    recipe = Recipe(LayerMapping(pairs), feature_share=0.5).to_json()
    nominee = next(t for t in large.overview.trials if t.number == 3)
    wide = [replace(nominee, number=100 + i, recipe=recipe) for i in range(SHOWN_TRIALS)]
    overview = replace(large.overview, trials=(*large.overview.trials, *wide))
    text = report(replace(large, facts=facts, overview=overview))
    assert len(text.encode()) < 1_000_000
