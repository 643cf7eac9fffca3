from pathlib import Path

import pytest
from pydantic import ValidationError

from mapsearch.core.errors import SpecError
from mapsearch.core.spec import StudySpec
from mapsearch.core.study_file import load_study, parse_study

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


def problems(text):
    with pytest.raises(SpecError, match=r"^study\.yaml: ") as caught:
        parse(text)
    return [problem.removeprefix("study.yaml: ") for problem in caught.value.problems]


def test_every_default_is_the_documented_one():
    assert parse(SMALLEST) == parse(DOCUMENTED)


def test_json_gives_the_same_study_back():
    study = parse(SMALLEST + "layers: {teacher: ['blocks.*', head]}\nconfirm: {margin: 0.01}\noptions: {deep: true}")
    back = StudySpec.model_validate(study.to_json())
    assert back.to_json() == study.to_json()
    assert back.layers.teacher == ("blocks.*", "head")


def test_a_study_knows_its_folder_but_does_not_tell_it(tmp_path):
    (tmp_path / "study.yaml").write_text(SMALLEST)
    study = load_study(tmp_path / "study.yaml")
    assert study.folder == tmp_path.resolve()
    assert "folder" not in study.to_json()
    assert not {"folder", "notices"} & StudySpec.model_json_schema()["properties"].keys()


def test_a_study_is_frozen():
    study = parse(SMALLEST)
    with pytest.raises(ValidationError, match="Instance is frozen"):
        study.train.lr = 1.0


def test_all_problems_are_told_at_once_with_dotted_paths():
    text = """
task: task.py
folder: elsewhere
metric: loss
train: {lr: -1, steps: 2, warmup: 1}
space: {feature_share: [0.9, 0.1], temperature: [0, 2]}
search: {rungs: [0.5, 0.4, 1.0]}
"""
    found = {problem.split("`")[1] for problem in problems(text)}
    assert found == {
        "folder",
        "name",
        "task",
        "direction",
        "train.lr",
        "train.steps",
        "train.warmup",
        "space.feature_share",
        "space.temperature.0",
        "search.rungs",
    }


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("trian: {}", "unknown key `trian`; did you mean `train`?"),
        ("train: {optimiser: sgd}", "unknown key `train.optimiser`; did you mean `optimizer`?"),
        ("confirm: {zzz: 1}", "unknown key `confirm.zzz`; known here: finalists, seeds, margin"),
        ("train: {optimizer: adam}", "but got 'adam'; did you mean `adamw`?"),
        ("space: {loss: [cosin]}", "but got 'cosin'; did you mean `cosine`?"),
        ("folder: /tmp", "`folder` is not a key of a study file"),
        ("1: 2", "line 3: key `1` is read as a number"),
    ],
)
def test_a_key_or_name_that_is_not_known(line, problem):
    (found,) = problems(SMALLEST + line)
    assert found.endswith(problem) or found.startswith(problem)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("train: {lr: fast}", "`train.lr`: input should be a valid number, unable to parse"),
        ("train: {precision: half}", "`train.precision`: input should be 'auto', 'float32' or 'bfloat16'"),
        ("execution: {cache_bytes: 2GiB}", "`execution.cache_bytes`: input should be a valid integer"),
        ("execution: {cache_bytes: -1}", "`execution.cache_bytes`: input should be greater than or equal to 0"),
        ("train: {lr: .nan}", "`train.lr`: input should be a finite number, but got nan"),
        ("train: {steps: 1.5}", "`train.steps`: input should be a valid integer"),
        ("train: {steps: true}", "`train.steps`: a number, string or list must be given, but got the boolean true"),
        ("train: {steps: }", "`train.steps`: input should be a valid integer, but got None"),
        ("train: 5", "`train`: a section of keys and values must be given, but got 5"),
        ("train:", "`train`: a section of keys and values must be given, but got None"),
        ("options: [1]", "`options`: input should be a valid dictionary, but got [1]"),
        ("metric: 3", "`metric`: input should be a valid string, but got 3"),
        ("space: {loss: nmse}", "`space.loss`: input should be a valid list, but got 'nmse'"),
        ("space: {loss: []}", "`space.loss`: list should have at least 1 item"),
        ("layers: {teacher: 'b.*'}", "`layers.teacher`: `auto` or a list of names and globs must be given"),
        ("execution: {workers: 0}", "`execution.workers`: `auto` or a whole number >= 1 must be given, but got 0"),
        ("seed: -1", "`seed`: input should be greater than or equal to 0, but got -1"),
    ],
)
def test_a_value_of_the_wrong_type_is_one_problem(line, problem):
    (found,) = problems(SMALLEST + line)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("space: {width: [2, 1]}", "`space.width`: a range is [low, high] with low <= high, but got [2.0, 1.0]"),
        ("space: {width: [0, 1]}", "`space.width`: `low > 0` must hold, but got [0.0, 1.0]"),
        ("space: {feature_share: [0, 1]}", "`space.feature_share`: `0 < low <= high <= 1` must hold"),
        ("space: {feature_share: [0.5]}", "`space.feature_share.1` is missing"),
        ("search: {rungs: [0.1, 0.2, 0.3]}", "`search.rungs`: three rising fractions that end with 1.0"),
        ("task: Digits", "`task`: `file.py:Class` or `package.module:Class` must be given, but got 'Digits'"),
        ("name: my study", "`name`: string should match pattern"),
        ("metric: val_loss", "`direction`: must be stated for the metric `val_loss`"),
        ("metric: loss\ndirection: maximize", "`direction`: `maximize` would search for the student with the largest"),
        ("direction: minimize", "`direction`: `minimize` would search for the student with the smallest `accuracy`"),
    ],
)
def test_a_value_out_of_its_range(line, problem):
    key = line.split(":")[0]
    base = "".join(row for row in SMALLEST.splitlines(keepends=True) if not row.startswith(f"{key}:"))
    (found,) = problems(base + line)
    assert found.startswith(problem)


def test_numbers_that_yaml_takes_for_words_are_numbers():
    assert parse(SMALLEST + "train: {lr: 2e-3}").train.lr == 0.002


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SMALLEST + "name: b\n", "line 3: key `name` is given twice, first on line 1"),
        (SMALLEST + "train:\n  lr: 1\n  lr: 2\n", "line 5: key `lr` is given twice, first on line 4"),
        ("name: [", "not valid YAML: "),
        ("name: !!python/object:os.system x", "line 1: the tag `!!python/object:os.system` is not allowed"),
        ("", "the study file is empty; `mapsearch init DIR` writes one"),
        ("- name", "a study file is a mapping of keys to values, but got list"),
    ],
)
def test_text_that_is_no_study(text, problem):
    (found,) = problems(text)
    assert found.startswith(problem)
    assert "\n" not in found


@pytest.mark.parametrize("name", ["study.yaml", "."])
def test_a_file_that_cannot_be_read_says_how_to_get_one(tmp_path, name):
    with pytest.raises(SpecError, match=r"cannot be read: .*; `mapsearch init DIR` writes one"):
        load_study(tmp_path / name)


def test_a_file_without_an_end_is_not_read_to_its_end():
    with pytest.raises(SpecError, match="/dev/zero: the file is larger than"):
        load_study("/dev/zero")


def test_keys_given_twice_and_all_other_problems_are_told_at_once():
    text = SMALLEST + "seed: 1\nseed: 2\n5: x\ntrain: {lr: -1, device: cpu}\nexecution: {devices: cuda}\n"
    assert len(problems(text)) == 4


def test_a_long_wrong_value_is_not_repeated_whole():
    (found,) = problems(SMALLEST + f"seed: {'x' * 5000}\n")
    assert len(found) < 300


def test_options_are_plain_data_and_finite():
    (found,) = problems(SMALLEST + "options: {a: [1, .nan], b: {c: -.inf}}\n")
    assert found.startswith("`options`: plain data with finite numbers")


@pytest.mark.parametrize(("steps", "expected"), [(300, [45, 120, 300]), (5, [2, 2, 5])])
def test_each_rung_is_a_shorter_whole_schedule(steps, expected):
    study = parse(SMALLEST + f"train: {{steps: {steps}}}")
    assert [study.n_steps(rung) for rung in range(3)] == expected
