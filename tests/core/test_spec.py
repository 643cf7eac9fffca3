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
budget: standard
seed: 0
train: {steps: 300, batch_size: 64, optimizer: adamw, lr: 2.0e-3}
layers: {teacher: auto, student: auto}
similarity: {measure: cka, samples: 2048}
space: {}
search: {trials: 40, seeds: 1, sampler: model, rungs: [0.15, 0.4, 1.0]}
confirm: {finalists: 3, seeds: 14, context_seeds: 2}
execution: {devices: auto, workers: auto, threads: 1, cohort: 8}
"""


def parse(text):
    return parse_study(text, Path("study.yaml"))


def test_every_default_is_the_documented_one():
    assert parse(SMALLEST) == parse(DOCUMENTED)


@pytest.mark.parametrize(("budget", "trials"), [("quick", 17), (60, 40), ("thorough", 100), (1, 8)])
def test_the_budget_decides_the_trials_that_are_not_stated(budget, trials):
    assert parse(f"{SMALLEST}budget: {budget}").search.trials == trials
    assert parse(f"{SMALLEST}budget: {budget}\nsearch: {{trials: 3}}").search.trials == 3


def test_small_and_large_budgets_decide_more_keys_where_they_are_not_stated():
    quick, thorough = (parse(f"{SMALLEST}budget: {budget}") for budget in ("quick", "thorough"))
    assert quick.confirm.finalists == 1
    assert (thorough.confirm.seeds, thorough.confirm.context_seeds) == (23, 3)
    assert parse(f"{SMALLEST}budget: quick\nconfirm: {{finalists: 2}}").confirm.finalists == 2


@pytest.mark.parametrize("budget", ["quik", "0", "1.5", "-3", "[1]"])
def test_a_budget_is_a_preset_or_a_number_of_full_runs(budget):
    with pytest.raises(SpecError, match=r"`budget`: must be quick, standard, thorough or a whole number"):
        parse(f"{SMALLEST}budget: {budget}")


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
        ("space: {similarity_weight: [2, 1]}", "space.similarity_weight", "[2.0, 1.0]"),
        ("space: {feature_share: [0, 1]}", "space.feature_share", "[0.0, 1.0]"),
        ("space: {feature_share: [0.5]}", "space.feature_share", "an entry 2 too, but got [0.5]"),
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
