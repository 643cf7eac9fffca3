from pathlib import Path

import pytest

from mapsearch.core.errors import SpecError
from mapsearch.core.spec import StudySpec
from mapsearch.core.study_file import load_study, parse_study

SMALLEST = "name: digits\ntask: task.py:Digits\n"


def parse(text):
    return parse_study(text, Path("study.yaml"))


def problems(text):
    with pytest.raises(SpecError, match=r"^study\.yaml: ") as caught:
        parse(text)
    return [problem.removeprefix("study.yaml: ") for problem in caught.value.problems]


def test_all_problems_are_told_at_once_with_dotted_paths():
    text = """
task: task.py
folder: elsewhere
metric: val_loss
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
        ("confirm: {zzz: 1}", "unknown key `confirm.zzz`; known here: finalists, seeds, context_seeds"),
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
    ("line", "key", "given"),
    [
        ("train: {lr: fast}", "train.lr", "valid number"),
        ("train: {precision: half}", "train.precision", "'half'"),
        ("execution: {cache_bytes: 2GiB}", "execution.cache_bytes", "'2GiB'"),
        ("execution: {cache_bytes: -1}", "execution.cache_bytes", "-1"),
        ("train: {lr: .nan}", "train.lr", "nan"),
        ("train: {steps: 1.5}", "train.steps", "1.5"),
        ("train: {steps: true}", "train.steps", "the boolean true"),
        ("train: {steps: }", "train.steps", "None"),
        ("train: 5", "train", "5"),
        ("train:", "train", "None"),
        ("options: [1]", "options", "[1]"),
        ("metric: 3", "metric", "3"),
        ("space: {loss: nmse}", "space.loss", "'nmse'"),
        ("space: {loss: []}", "space.loss", "at least 1"),
        ("layers: {teacher: 'b.*'}", "layers.teacher", "`auto` or a list"),
        ("execution: {workers: 0}", "execution.workers", "0"),
        ("seed: -1", "seed", "-1"),
    ],
)
def test_a_value_of_the_wrong_type_is_one_problem(line, key, given):
    (problem,) = problems(SMALLEST + line)
    assert problem.startswith(f"`{key}`: ")
    assert given in problem.removeprefix(f"`{key}`")


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
        ("- name", "a study file must be a mapping"),
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


@pytest.mark.parametrize("name", ["", "study.yml", "stdy.yaml"])
def test_a_study_file_near_by_is_named(tmp_path, name):
    (tmp_path / "study.yaml").write_text("name: a")
    with pytest.raises(SpecError, match=r"cannot be read: .*; did you mean `.*study\.yaml`\?"):
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


def test_a_study_knows_its_folder_but_does_not_tell_it(tmp_path):
    (tmp_path / "study.yaml").write_text(SMALLEST)
    study = load_study(tmp_path / "study.yaml")
    assert study.folder == tmp_path.resolve()
    assert "folder" not in study.to_json()
    assert not {"folder", "notices"} & StudySpec.model_json_schema()["properties"].keys()


def test_features_that_end_need_something_that_teaches_after_them():
    text = "name: a\ntask: t.py:T\ntrain: {features_until: 0.5}\nspace: {feature_share: [0.5, 1]}\n"
    with pytest.raises(SpecError, match=r"`train.features_until: 0.5` needs `space.feature_share` below 1"):
        parse_study(text, Path("study.yaml"))
