"""How far a stored study is."""

from dataclasses import replace

from mapsearch.api.progress import progress
from mapsearch.api.queries import details


def test_a_finished_study_has_done_every_stage_it_began(finished):
    found = progress(details("tiny", finished[1], 5))
    assert found.number == 7
    assert all(stage.n_done <= stage.n_most for stage in found.stages if stage.n_most)
    assert found.n_done == sum(stage.n_done for stage in found.stages) > 20


def test_settings_of_another_version_cost_the_forecast_only(finished):
    found = replace(details("tiny", finished[1], 5), spec={"nme": 1})
    assert progress(found).left == ""
    assert progress(found).n_done > 20
