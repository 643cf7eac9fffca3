"""The study that is measured is what its page says, and every command reads it; how long that takes is not tested."""

import pytest

from benchmarks import read_models
from benchmarks.recording import on_database
from mapsearch.store.store import Store


@pytest.mark.slow
def test_every_command_is_measured_on_a_finished_study(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    record = read_models.measure(url, n_trials=30, n_runs=10, repeats=1)
    assert all(len(times) == 1 and times[0] > 0 for times in record["cpu_seconds"].values())
    text = read_models.page(on_database(url, record), "2026-11-26")
    assert "30 trials and 300 runs" in text
    assert all(f"`mapsearch {' '.join(command)}`" in text for command in read_models.COMMANDS)


def test_the_study_has_all_that_is_summed_up(tmp_path):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    read_models.fill(url, 60, 10)
    with Store.open_to_read(url) as store:
        study, runs = store.page("large"), store.runs("large")
    assert (study.state, study.n_trials, study.n_runs, len(runs)) == ("complete", 60, 600, 600)
    assert {run.state for run in runs} == {"complete", "diverged"}
    assert all(run.result for run in runs)
    assert all(trial.overhead for trial in study.trials)
    for summed_up in ("confirmed", "warnings", "mixed_weights"):
        assert any(getattr(trial, summed_up) for trial in study.trials), summed_up
