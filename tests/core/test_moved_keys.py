import copy

import pytest

from mapsearch.core.errors import SpecError
from mapsearch.core.moved_keys import MOVED, with_moved_keys
from mapsearch.core.spec import StudySpec
from mapsearch.core.study_file import load_study, stored_study, with_defaults

BASE = "name: s\ntask: t.py:T\n"
OLD = (
    "train: {lr: 0.1, device: 'cuda:1', threads: 2, cohort: 4, cache_bytes: 0}\n"
    "search: {trials: 3, workers: 2}\nspace: {logit_weight: [2]}\nconfirm: {margin: 0.5}\n"
)
NEW = (
    "margin: 0.5\ntrain: {lr: 0.1}\nsearch: {trials: 3}\nspace: {output_weight: [2]}\n"
    "execution: {devices: ['cuda:1'], threads: 2, cohort: 4, cache_bytes: 0, workers: 2}\n"
)


@pytest.fixture
def load(tmp_path):
    def one(text):
        (tmp_path / "study.yaml").write_text(BASE + text)
        return load_study(tmp_path / "study.yaml")

    return one


def test_an_old_file_is_the_same_study_and_its_author_is_told_the_new_places(load):
    old, new = load(OLD), load(NEW)
    assert old.to_json() == new.to_json()
    assert new.notices == ()
    (notice,) = old.notices
    assert all(f"`{before}` is now `{after}`" in notice for before, after in MOVED.items())


def test_both_places_may_agree(load):
    spec = load("train: {device: cpu}\nexecution: {devices: [cpu]}")
    assert spec.execution.devices == ("cpu",)
    assert "`train.device` is now `execution.devices`" in spec.notices[0]


def test_places_that_disagree_are_told_with_all_other_problems(load):
    with pytest.raises(SpecError) as caught:
        load("train: {device: cpu, lr: -1}\nsearch: {workers: 2}\nexecution: {devices: cuda, workers: 3, cohort: 0}")
    problems = " ".join(caught.value.problems)
    assert len(caught.value.problems) == 4
    assert "`train.device` has moved to `execution.devices`, but both are given, as 'cpu' and 'cuda'" in problems
    assert "`search.workers` has moved to `execution.workers`" in problems
    assert "`train.lr`" in problems
    assert "`execution.cohort`" in problems


def test_a_bad_value_is_told_where_it_was_written(load):
    with pytest.raises(SpecError, match=r"`train.cohort` \(now `execution.cohort`\): .* greater than or equal to 1"):
        load("train: {cohort: 0}")


@pytest.mark.parametrize("text", ["train: 5", "train: {cohort: 4}\nexecution: 5", "execution: [cpu]", "search:"])
def test_a_section_that_is_not_a_mapping_is_one_problem(load, text):
    with pytest.raises(SpecError, match="section of keys and values") as caught:
        load(text)
    assert "`execution`" not in text or len(caught.value.problems) <= 2


def test_the_data_given_stays_as_it_is():
    data = {"train": {"device": "cpu"}, "execution": {"cohort": 2}}
    before = copy.deepcopy(data)
    assert with_moved_keys(data).data == {"train": {}, "execution": {"cohort": 2, "devices": "cpu"}}
    assert data == before


def test_a_stored_study_of_an_older_version_is_read_in_todays_keys():
    today = StudySpec(name="s", task="t.py:T", train={"lr": 0.1}, execution={"devices": "cpu", "workers": 2})
    stored = today.to_json()
    del stored["execution"]
    stored["train"] |= {"device": "cpu", "threads": 1, "cohort": 8, "cache_bytes": 2**30}
    stored["search"] |= {"workers": 2}
    assert with_defaults(stored) == today.to_json()
    assert stored_study(stored, "/there").folder.as_posix() == "/there"


def test_a_stored_study_with_unknown_keys_is_compared_as_it_is_and_cannot_be_loaded():
    stored = {"name": "s", "task": "t.py:T", "spase": {}}
    assert with_defaults(stored) == stored
    with pytest.raises(SpecError, match="stored study: unknown key `spase`; did you mean `space`"):
        stored_study(stored)


def test_the_width_and_sampler_of_an_older_version_are_told_and_stored_studies_with_them_are_read(load):
    study = load("space: {width: [0.3, 3.0]}\nsearch: {sampler: tpe}")
    assert any("`space.width` is no longer used" in notice for notice in study.notices)
    assert any("`search.sampler: tpe` is now `model`" in notice for notice in study.notices)
    stored = study.to_json()
    old = {
        **stored,
        "space": {**stored["space"], "width": [0.3, 3.0]},
        "search": {**stored["search"], "sampler": "tpe"},
    }
    assert with_defaults(old) == stored
