"""Metrics that are not numbers, through whole studies."""

from mapsearch.controller.run import run, run_study
from mapsearch.core.events import Message
from mapsearch.core.study_file import load_study
from mapsearch.core.trials import Trial
from mapsearch.store.store import Store

MORE_TASKS = '''
from pathlib import Path

class NotANumber(Clusters):
    """A second metric that is defined for no sample."""

    def metrics(self, output, batch):
        return {**super().metrics(output, batch), "spread": float("nan")}


class Vanishing(Clusters):
    """Measures the study's metric until there is a file `vanish` beside it."""

    def metrics(self, output, batch):
        measured = super().metrics(output, batch)
        return {"loss": measured["loss"]} if (Path(__file__).parent / "vanish").exists() else measured
'''

SMALL = {"search": {"trials": 1, "noise_seeds": 2}, "confirm": {"seeds": 2}, "train": {"steps": 6}}


def study_of(write_study, name, **changes):
    path = write_study(task=f"task.py:{name}", **{**SMALL, **changes})
    with (path.parent / "task.py").open("a") as task:
        task.write(MORE_TASKS)
    return load_study(path)


def test_a_second_metric_that_is_not_a_number_is_stored_as_null_and_hinders_nothing(write_study, url, results):
    run_study(study_of(write_study, "NotANumber"), url, inline=True)
    _, runs = results(url)
    assert {run.state for run in runs} == {"complete"}
    assert {run.result.metrics["spread"] for run in runs} == {None}
    with Store.open_to_read(url) as store:
        teacher = store.study("tiny").facts.teacher
    assert teacher["spread"] is None
    assert 0 < teacher["accuracy"] <= 1


def test_runs_in_which_the_metric_of_the_study_vanished_are_invalid_and_say_so(write_study, url, results):
    one_by_one = {"search": {**SMALL["search"], "trials": 3}, "execution": {"cohort": 1}}
    spec = study_of(write_study, "Vanishing", **one_by_one)
    vanish, n_controls = spec.folder / "vanish", 0
    for update in run(spec, url, inline=True):
        n_controls += isinstance(update, Trial) and update.proposer == "control"
        if n_controls == 1:  # the controls are done, and the next run will lack the metric
            vanish.touch()
            n_controls += 1
        if isinstance(update, Message) and update.stage == "invalid":
            vanish.unlink(missing_ok=True)
    _, runs = results(url)
    invalid = [run for run in runs if run.state == "invalid"]
    assert invalid
    assert all(run.value is None and "`metric: accuracy` is not measured" in run.result.error for run in invalid)
    assert all(run.value is not None for run in runs if run.state == "complete")


REGRESSION = '''
class Regression(Clusters):
    """The distance from the first centre, as a real number."""

    def teacher(self):
        return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))

    def student(self):
        return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))

    def _data(self, n):
        x = torch.randn(n, 8, generator=torch.Generator().manual_seed(n))
        return TensorDataset(x, x[:, 0] + 0.1)

    def train_data(self):
        return self._data(96)

    def valid_data(self):
        return self._data(64)

    def test_data(self):
        return self._data(65)
'''


def test_a_study_that_states_no_metric_takes_that_of_its_outputs_and_goes_on_with_it(write_study, url, results):
    path = write_study(task="task.py:Regression", **SMALL | {"train": {"steps": 40}})
    with (path.parent / "task.py").open("a") as task:
        task.write(REGRESSION)
    text = path.read_text()
    assert "metric" not in text
    messages = [update.text for update in run(load_study(path), url, inline=True) if isinstance(update, Message)]
    assert [m for m in messages if "`metric: rmse` and `direction: minimize`" in m], messages
    with Store.open_to_read(url) as store:
        spec = store.study("tiny").spec
    assert (spec["metric"], spec["direction"]) == ("rmse", "minimize")
    _, runs = results(url)
    assert all(run.value == run.result.metrics["rmse"] for run in runs if run.state == "complete")
    again = [update for update in run(load_study(path), url, inline=True) if isinstance(update, Trial)]
    assert again == []
