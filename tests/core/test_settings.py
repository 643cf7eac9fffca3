import pytest

from mapsearch.core.errors import SpecError
from mapsearch.core.settings import with_settings
from mapsearch.core.study_file import load_study

DATA = {"train": {"steps": 9}, "seed": 1}


@pytest.mark.parametrize(
    ("setting", "merged"),
    [
        ("seed=2", {"train": {"steps": 9}, "seed": 2}),
        ("train.lr=2.0e-3", {"train": {"steps": 9, "lr": 0.002}, "seed": 1}),
        ("space.loss=[nmse, cosine]", {**DATA, "space": {"loss": ["nmse", "cosine"]}}),
        ("margin=", {**DATA, "margin": None}),
        ("options.path=a=b", {**DATA, "options": {"path": "a=b"}}),
    ],
)
def test_a_setting_replaces_one_key_and_leaves_the_file_as_it_is(setting, merged):
    assert with_settings(DATA, [setting]) == merged
    assert DATA == {"train": {"steps": 9}, "seed": 1}


def test_the_last_of_equal_settings_holds():
    assert with_settings(DATA, ["seed=2", "seed=3"])["seed"] == 3


def test_all_problems_come_at_once():
    with pytest.raises(SpecError) as caught:
        with_settings(DATA, ["train", "=3", "train..lr=1", "seed.x=1", "seed=[", "lr=1: 2: 3"])
    assert len(caught.value.problems) == 6
    assert all("setting" in problem for problem in caught.value.problems)


def test_settings_are_held_against_the_schema_like_the_file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("name: a\ntask: t.py:T\n")
    assert load_study(path, ["train.steps=7", "budget=quick"]).train.steps == 7
    with pytest.raises(SpecError, match=r"`train\.step`; did you mean `steps`"):
        load_study(path, ["train.step=7"])
