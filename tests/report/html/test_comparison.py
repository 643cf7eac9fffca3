"""Two studies side by side."""

from dataclasses import replace

import pytest

from mapsearch.report.html.comparison import compare_studies

SPEC = {"name": "one", "metric": "accuracy", "train": {"steps": 100, "lr": 0.1}, "execution": {"workers": 1}}


def test_settings_that_differ_have_dotted_names(details):
    one = replace(details(), spec=SPEC)
    other = replace(details(), spec={**SPEC, "name": "two", "train": {"steps": 200}, "execution": {"workers": 4}})
    compared = compare_studies(one, other)
    assert [(row.name, row.one, row.other) for row in compared.settings] == [
        ("train.steps", "100", "200"),
        ("train.lr", "0.1", "unset"),
    ]
    assert compared.n_equal == 1
    assert all(row.same for row in compared.results)


@pytest.mark.parametrize("key", ["task", "metric"])
def test_quality_on_two_scales_is_not_compared(details, key):
    compared = compare_studies(replace(details(), spec=SPEC), replace(details(), spec={**SPEC, key: "loss"}))
    assert "not compared" in compared.sentence
    assert f"`{key}`" in compared.sentence


def test_the_decisions_are_compared(details, verdict):
    other = details(verdict=verdict("use_features"))
    assert "different decisions" in compare_studies(details(), other).sentence
    assert "no decision yet" in compare_studies(details(), details(verdict=None)).sentence
