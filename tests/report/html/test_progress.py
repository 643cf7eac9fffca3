"""How far a study under way is."""

from dataclasses import replace

import pytest

from mapsearch.core.details import StageCost, TrialValue
from mapsearch.core.facts import StudyFacts
from mapsearch.core.forecast import StageForecast
from mapsearch.report.html.progress import study_progress

PLANNED = (
    StageForecast("tune", 10, 30), StageForecast("noise", 4, 30), StageForecast("search", 20, 30),
    StageForecast("shortlist", 6, 50), StageForecast("confirm", 8, 100),
)  # fmt: skip


@pytest.fixture
def running(details):
    """A study in its search: ten of twenty runs are complete, two failed; three steps a second."""
    stages = (StageCost("tune", 9, 9, 0, 9.0, 270), StageCost("search", 12, 10, 2, 12.0, 300))
    found = details(state="running", verdict=None, n_expected=None)
    history = (TrialValue(0, "control", "outputs", 0.8), TrialValue(1, "free", "", 0.9), TrialValue(2, "free", "", 0.7))
    return replace(found, stages=stages, history=history, steps_per_second=3.0)


def test_stages_before_the_current_are_done_and_those_after_it_to_come(running):
    found = study_progress(running, PLANNED)
    assert found.number == 5
    standings = {stage.name: (stage.standing, stage.n_done, stage.n_most) for stage in found.stages}
    assert standings["tune"] == ("done", 9, 10)
    assert standings["search"] == ("current", 12, 20)
    assert standings["confirm"] == ("to come", 0, 8)


def test_runs_of_the_most_it_will_take_and_the_best_so_far(running):
    found = study_progress(running, PLANNED)
    assert (found.n_done, found.n_most) == (21, 9 + 0 + 20 + 6 + 8)
    assert (found.best.number, found.outputs) == (1, 0.8)
    found = study_progress(replace(running, overview=replace(running.overview, direction="minimize")), PLANNED)
    assert found.best.number == 2


def test_what_is_left_goes_by_the_pace_of_the_last_runs(running):
    left = (20 * 30 - 360) + 6 * 50 + 8 * 100
    assert study_progress(running, PLANNED).left == f"{left / 3 / 60:.0f} min"
    assert study_progress(replace(running, steps_per_second=None), PLANNED).left == ""
    assert study_progress(running, ()).left == ""


def test_before_any_run_it_checks_then_compares(running):
    new = replace(running, stages=(), history=())
    assert study_progress(new, PLANNED).number == 2
    assert study_progress(replace(new, facts=StudyFacts()), PLANNED).number == 1
