"""What the study database answers, as Python calls."""

import pytest

import mapsearch
from mapsearch.api import queries
from mapsearch.core.errors import StoreError, StudyNotFound


def test_show_is_the_packages(finished):
    assert mapsearch.show("tiny", storage=finished[1]) == queries.show("tiny", finished[1])


def test_a_study_that_is_not_there(finished, tmp_path):
    with pytest.raises(StudyNotFound, match=r"no study `tinny` in .*; did you mean `tiny`\?"):
        queries.show("tinny", finished[1])
    with pytest.raises(StoreError, match=r"no study database at .*none\.db"):
        queries.show("tiny", f"sqlite:///{tmp_path / 'none.db'}")


def test_every_study_is_listed(finished):
    assert [study.name for study in queries.list_studies(finished[1])] == ["tiny"]


def test_an_export_loads_its_trial_and_its_runs_only(finished):
    study, trials, runs = queries.read("tiny", finished[1])
    own = [run for run in runs if run.trial == 1]
    assert queries.read_for_export("tiny", finished[1], 1) == (study, [trials[1]], own)
    exported = study.facts.verdict.exported
    assert queries.read_for_export("tiny", finished[1], None)[1] == [trials[exported]]
    assert queries.read_for_export("tiny", finished[1], 999)[1:] == ([], [])
