import pytest

from mapsearch.core.growth import forbidden_changes
from mapsearch.core.spec import StudySpec


def spec(**keys):
    return StudySpec(name="s", task="t.py:T", **keys).to_json()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"execution": {"devices": ["cuda:0", "cuda:1"], "workers": 9, "threads": 2, "cohort": 1, "cache_bytes": 0}},
        {"search": {"trials": 41}},
        {"confirm": {"seeds": 16, "finalists": 4, "context_seeds": 3}},
        {"budget": 61},
        {"budget": "thorough"},
    ],
)
def test_a_study_may_move_and_grow(changes):
    assert forbidden_changes(spec(), spec(**changes)) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"search": {"trials": 39}}, "`search.trials`: 40 -> 39, but it may only grow"),
        ({"confirm": {"seeds": 13}}, "`confirm.seeds`: 14 -> 13, but it may only grow"),
        (
            {"budget": "quick", "search": {"trials": 40}, "confirm": {"finalists": 3}},
            '`budget`: "standard" -> "quick", but it may only grow',
        ),
        ({"budget": 59, "search": {"trials": 40}}, '`budget`: "standard" -> 59, but it may only grow'),
        ({"confirm": {"finalists": 2}}, "`confirm.finalists`: 3 -> 2, but it may only grow"),
        ({"margin": 0.5}, "`margin`: null -> 0.5"),
        ({"search": {"seeds": 2}}, "`search.seeds`: 1 -> 2"),
        ({"train": {"precision": "bfloat16"}}, '`train.precision`: "auto" -> "bfloat16"'),
        ({"options": {"deep": True}}, "`options.deep`: unset -> true"),
        ({"layers": {"teacher": ["a"]}}, '`layers.teacher`: "auto" -> ["a"]'),
    ],
)
def test_what_shrinks_or_defines_the_study_is_refused(changes, problem):
    assert forbidden_changes(spec(), spec(**changes)) == [problem]


def test_every_change_is_listed_in_the_order_of_the_file():
    found = forbidden_changes(spec(), spec(seed=1, train={"lr": 0.5}, search={"trials": 2}))
    assert [change.split("`")[1] for change in found] == ["seed", "train.lr", "search.trials"]


def test_an_option_named_like_a_key_that_may_grow_may_not():
    old, new = spec(options={"search": {"trials": 1}}), spec(options={"search": {"trials": 2}})
    assert forbidden_changes(old, new) == ["`options.search.trials`: 1 -> 2"]
