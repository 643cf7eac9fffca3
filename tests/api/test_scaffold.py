from pathlib import Path

import pytest

from mapsearch.api.scaffold import copy_template
from mapsearch.core.errors import SpecError
from mapsearch.core.execution import Execution
from mapsearch.core.study_file import load_study
from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.evaluation import evaluate
from mapsearch.tasks.loading import load_task
from mapsearch.tasks.output_kinds import decide_outputs

TEMPLATE = Path(__file__).parents[2] / "mapsearch/api/templates/vision/study.yaml"


@pytest.mark.parametrize("template", ["vision", "text", "embedding"])
def test_a_template_is_a_study(tmp_path, template):
    study, task = copy_template(template, tmp_path / "deep" / "new")
    spec = load_study(study)
    assert spec.name == "new"
    assert f"class {spec.task.partition(':')[2]}(" in task.read_text()


def test_what_is_there_stays(tmp_path):
    (tmp_path / "task.py").write_text("mine")
    with pytest.raises(SpecError, match=r"task\.py.*already exists?;"):
        copy_template("vision", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["task.py"]
    assert (tmp_path / "task.py").read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SpecError, match=r"file/new.*Not a directory"):
        copy_template("vision", tmp_path / "file" / "new")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("my-study", "my-study"),
        ("My study (2)", "My-study-2-"),
        ("2024", "2024"),
        ("on", "on"),
        ("1e3", "1e3"),
        (".hidden", "hidden"),
        ("学習", "vision"),
        ("x" * 150, "x" * 100),
    ],
)
def test_a_study_is_named_as_its_folder_as_far_as_that_is_a_name(tmp_path, folder, name):
    study, _ = copy_template("vision", tmp_path / folder)
    assert load_study(study).name == name
    assert len(study.read_text().splitlines()) == len(TEMPLATE.read_text().splitlines())


def test_in_the_folder_itself_its_name_is_known(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert load_study(copy_template("text", Path("."))[0]).name == "here"


def test_comments_stay_in_their_column(tmp_path):
    text = copy_template("vision", tmp_path / "a-study-with-a-name")[0].read_text()
    assert {line.index("#") for line in text.splitlines()[1:7] if "#" in line} == {33}


def uncomment(text, method):
    """The task file with a commented method as code."""
    start = text.index(f"    # def {method}(")
    end = text.index("\n", text.index("return", start)) + 1
    commented = text[start:end]
    return text.replace(commented, commented.replace("    # ", "    ").replace("#     ", "    "))


@pytest.mark.parametrize("method", ["metric_objects", "score"])
def test_the_metrics_in_the_comments_of_the_vision_template_work(tmp_path, method):
    study, task = copy_template("vision", tmp_path / "study")
    task.write_text("import sklearn.metrics\nimport torchmetrics\n" + uncomment(task.read_text(), method))
    loaded = load_task(load_study(study).task_reference(tmp_path), Execution())
    (metrics,) = evaluate(loaded, [loaded.teacher], loaded.valid, TrainSpec())
    assert 0.5 < metrics["f1"] <= 1


LABELLED = """

class Labelled(Embeddings):
    def valid_data(self):
        return [{**sample, "labels": sample["input_ids"][0] % 2} for sample in super().valid_data()]
"""


def test_the_metric_in_the_comments_of_the_embedding_template_works(tmp_path):
    study, task = copy_template("embedding", tmp_path / "study")
    imports = "from sklearn.linear_model import RidgeClassifier\nfrom sklearn.model_selection import cross_val_score\n"
    task.write_text(imports + uncomment(task.read_text(), "score") + LABELLED)
    study.write_text(study.read_text().replace("task.py:Embeddings", "task.py:Labelled"))
    spec = load_study(study)
    loaded = load_task(spec.task_reference(tmp_path), Execution())
    loaded.task.output_form = decide_outputs(loaded, spec.outputs, "float32")
    (metrics,) = evaluate(loaded, [loaded.teacher], loaded.valid, TrainSpec())
    assert metrics["cosine"] == pytest.approx(1)
    assert 0.5 < metrics["probe"] <= 1  # half of the texts are on either side
