from pathlib import Path

import pytest
from pydantic import ValidationError

from mapsearch.core.errors import SpecError
from mapsearch.core.spec import StudySpec
from mapsearch.core.study_file import parse_study

SMALLEST = "name: digits\ntask: task.py:Digits\n"
DOCUMENTED = """
name: digits
task: task.py:Digits
options: {}
metric: accuracy
direction: maximize
seed: 0
train: {steps: 300, batch_size: 64, optimizer: adamw, lr: 2.0e-3}
layers: {teacher: auto, student: auto}
similarity: {measure: cka, samples: 2048}
space: {}
search: {trials: 40, seeds: 1, sampler: tpe, rungs: [0.15, 0.4, 1.0]}
confirm: {finalists: 3, seeds: 6}
execution: {devices: auto, workers: auto, threads: 1, cohort: 8}
"""


def parse(text):
    return parse_study(text, Path("study.yaml"))


def test_every_default_is_the_documented_one():
    assert parse(SMALLEST) == parse(DOCUMENTED)


def test_json_gives_the_same_study_back():
    study = parse(SMALLEST + "layers: {teacher: ['blocks.*', head]}\nconfirm: {margin: 0.01}\noptions: {deep: true}")
    back = StudySpec.model_validate(study.to_json())
    assert back.to_json() == study.to_json()
    assert back.layers.teacher == ("blocks.*", "head")


def test_a_study_is_frozen():
    study = parse(SMALLEST)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        study.train.lr = 1.0


@pytest.mark.parametrize(
    ("line", "key", "given"),
    [
        ("space: {width: [2, 1]}", "space.width", "[2.0, 1.0]"),
        ("space: {width: [0, 1]}", "space.width", "[0.0, 1.0]"),
        ("space: {feature_share: [0, 1]}", "space.feature_share", "[0.0, 1.0]"),
        ("space: {feature_share: [0.5]}", "space.feature_share.1", "missing"),
        ("search: {rungs: [0.1, 0.2, 0.3]}", "search.rungs", "[0.1, 0.2, 0.3]"),
        ("task: Digits", "task", "'Digits'"),
        ("name: my study", "name", "'my study'"),
        ("metric: val_loss", "direction", "`val_loss`"),
        ("options: {a: [1, .nan], b: {c: -.inf}}", "options", "finite"),
    ],
)
def test_a_value_out_of_its_range(line, key, given):
    first = line.split(":")[0]
    base = "".join(row for row in SMALLEST.splitlines(keepends=True) if not row.startswith(f"{first}:"))
    with pytest.raises(SpecError) as caught:
        parse(base + line)
    (problem,) = caught.value.problems
    assert problem.startswith(f"study.yaml: `{key}`")
    assert given in problem


@pytest.mark.parametrize(("steps", "expected"), [(300, [45, 120, 300]), (5, [2, 2, 5])])
def test_each_rung_is_a_shorter_whole_schedule(steps, expected):
    study = parse(SMALLEST + f"train: {{steps: {steps}}}")
    assert [study.n_steps(rung) for rung in range(3)] == expected
