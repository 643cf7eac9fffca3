"""The final student of a study and of a recipe file: the trial's own at equal seeds, with all that belongs to it."""

import json

import pytest
import torch
import yaml
from safetensors.torch import load_file

import mapsearch
from mapsearch.api.queries import read
from mapsearch.api.training import train, train_updates
from mapsearch.core.errors import ExportError, SpecError, StudyNotFound, TaskError, TrainingChanged
from mapsearch.core.trained import TrainReport

FILES = {"student.safetensors", "projectors.safetensors", "recipe.yaml", "metrics.json", "README.md", "losses.png"}


@pytest.fixture(scope="module")
def student(finished, tmp_path_factory):
    """(folder, report) of the study's exported trial."""
    folder = tmp_path_factory.mktemp("student")
    *_, report = train_updates("tiny", trial=featured(finished), output=folder, storage=finished[1])
    return folder, report


def featured(finished):
    """A trial with features that was confirmed."""
    trials, runs = read("tiny", finished[1])[1:]
    confirmed = {run.trial for run in runs if run.stage == "confirm"}
    return next(t.number for t in trials if t.recipe.mapping.pairs and t.number in confirmed)


def confirmed(finished, trial):
    return {r.seed: r.result.metrics for r in read("tiny", finished[1])[2] if r.trial == trial and r.stage == "confirm"}


def test_at_the_seed_of_a_confirmed_run_the_student_is_that_run(finished, student, tmp_path):
    trial = featured(finished)
    runs = confirmed(finished, trial)
    _, report = student
    assert report.metrics["test"] == pytest.approx(runs[report.training["seed"]], rel=1e-5)
    other = max(runs)
    *_, report = train_updates("tiny", trial=trial, seed=other, storage=finished[1])
    assert report.metrics["test"] == pytest.approx(runs[other], rel=1e-5)


def test_the_recipe_file_of_the_folder_trains_the_same_student(finished, student, tmp_path):
    folder, _ = student
    assert {path.name for path in folder.iterdir()} == FILES
    told = []
    again = train(folder / "recipe.yaml", output=tmp_path / "again", storage=finished[1], on_event=told.append)
    assert told[-2] is again
    assert isinstance(told[-1], TrainReport)
    weights = load_file(folder / "student.safetensors")
    assert all(torch.equal(x, weights[name]) for name, x in again.state_dict().items())
    assert not again.training


def test_the_folder_says_what_was_measured_and_how_it_was_trained(student):
    folder, report = student
    data = json.loads((folder / "metrics.json").read_text())
    assert TrainReport.from_json(data) == report
    card = (folder / "README.md").read_text()
    assert yaml.safe_load(card.split("---")[1])["tags"]
    for text in (f"{report.metrics['test']['accuracy']:.4g}", "Verdict of the study: ", "Margin", "losses.png", "lr"):
        assert text in card


def test_a_finished_folder_is_left_as_it_is_and_its_student_read(finished, student):
    folder, report = student
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    trial = report.training["trial"]
    again = train("tiny", trial=trial, output=folder, storage=finished[1])
    weights = load_file(folder / "student.safetensors")
    assert all(torch.equal(x, weights[name]) for name, x in again.state_dict().items())
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    with pytest.raises(TrainingChanged, match=r"holds another training .*`seed`: .* -> 7"):
        train("tiny", trial=trial, seed=7, output=folder, storage=finished[1])


def test_steps_and_the_kept_weights_are_the_users(finished):
    *_, report = train_updates("tiny", trial=featured(finished), steps=20, keep="best", storage=finished[1])
    assert report.validations[-1].step == report.curve[-1][0] == 20
    best = max(row.metrics["accuracy"] for row in report.validations)
    assert report.metrics["valid"]["accuracy"] == pytest.approx(best)


def test_an_edited_recipe_is_trained_as_it_says(finished, student, tmp_path):
    data = yaml.safe_load((student[0] / "recipe.yaml").read_text())
    data["train"]["lr"] *= 2
    data["task"] = f"{finished[0].parent / 'task.py'}:Clusters"
    (tmp_path / "edited.yaml").write_text(yaml.safe_dump(data))
    *_, report = train_updates(tmp_path / "edited.yaml", storage=finished[1])
    assert report.metrics["test"] != student[1].metrics["test"]
    assert report.training["lr"] == data["train"]["lr"]


@pytest.mark.parametrize(
    "edit", [{"options": {"n": 32}}, {"metric": "loss"}, {"direction": "minimize"}, {"outputs": {"same_width": False}}]
)
def test_a_folder_of_a_recipe_that_was_edited_since_is_refused(edit, finished, student, tmp_path):
    data = yaml.safe_load((student[0] / "recipe.yaml").read_text())
    data["task"] = f"{finished[0].parent / 'task.py'}:Clusters"
    (key, value), *_ = edit.items()
    value = {**data[key], **value} if key == "outputs" else value
    (tmp_path / "edited.yaml").write_text(yaml.safe_dump({**data, key: value}))
    with pytest.raises(TrainingChanged, match=f"`{key}`: .* -> "):
        train(tmp_path / "edited.yaml", output=student[0], storage=finished[1])


def test_mistakes_are_one_line(finished, student, tmp_path):
    study, url = finished
    with pytest.raises(StudyNotFound, match="did you mean `tiny`"):
        train("tyny", storage=url)
    with pytest.raises(ExportError, match="no trial 999"):
        train("tiny", trial=999, storage=url)
    with pytest.raises(ExportError, match="this is a study file, not a recipe"):
        train(study, storage=url)
    with pytest.raises(ExportError, match="holds one recipe; leave out --trial"):
        train(student[0] / "recipe.yaml", trial=1, storage=url)
    (tmp_path / "distill.py").write_text("")
    with pytest.raises(ExportError, match=r"distill\.py is a program; `mapsearch export .* --to mapsearch"):
        train(tmp_path / "distill.py", storage=url)
    with pytest.raises(SpecError, match=r"devices"):
        train("tiny", device="GPU!", storage=url)
    data = yaml.safe_load((student[0] / "recipe.yaml").read_text())
    (tmp_path / "moved.yaml").write_text(yaml.safe_dump({**data, "task": "tusk.py:Clusters"}))
    with pytest.raises(TaskError, match=r"the task file .*tusk\.py` does not exist"):
        train(tmp_path / "moved.yaml", storage=url)


def test_it_is_public():
    assert mapsearch.train is train
