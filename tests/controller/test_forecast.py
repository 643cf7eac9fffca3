import re
from collections import Counter

from mapsearch import search
from mapsearch.controller.forecast import with_forecast
from mapsearch.core.findings import CheckReport
from mapsearch.core.study_file import load_study

SECONDS = {"step": 0.01, "evaluation": 0.5}


def forecast_of(study, **measured):
    return with_forecast(CheckReport((), **measured), study)


def test_the_forecast_counts_the_searchs_stages_at_the_measured_speed_on_the_studys_workers(spec):
    report = forecast_of(spec(execution={"workers": 3}), seconds=SECONDS)
    runs = r"forecast: at most \d+ runs \(tune 6, noise 5, .* about \d+ (s|min|h) on 3 workers"
    assert re.match(runs + r"; a budget of 60 full runs leaves up to \d+ fresh seeds", report.forecast)


def test_without_a_timed_step_there_is_none(spec):
    assert forecast_of(spec()).forecast == ""


def test_a_finished_study_took_at_most_the_runs_that_were_forecast(finished, results):
    study, url = finished
    taken = Counter(run.stage for run in results(url)[1])
    forecast = Counter()
    for stage in search.forecast_stages(load_study(study)):
        forecast[stage.stage] += stage.n_runs
    assert taken.keys() == forecast.keys()
    assert {stage for stage in taken if taken[stage] > forecast[stage]} == set()
    assert taken["tune"] == forecast["tune"]
