import pickle

import pytest

from mapsearch.core import errors

TREE = [value for value in vars(errors).values() if isinstance(value, type) and value.__module__ == errors.__name__]


def test_each_problem_is_one_line():
    error = errors.SpecError("first", "second")
    assert error.problems == ("first", "second")
    assert str(error) == "first\nsecond"


def test_an_error_comes_whole_through_pickle():
    error = pickle.loads(pickle.dumps(errors.CheckFailed("first", "second")))
    assert isinstance(error, errors.CheckFailed)
    assert error.problems == ("first", "second")


def test_what_the_user_did_not_cause_exits_with_1():
    assert errors.MapsearchError in TREE
    databases = {error for error in TREE if issubclass(error, errors.DatabaseFailed)}
    assert {error for error in TREE if error.exit_code == 1} == {errors.StudyFailed, errors.TrainingFailed, *databases}
    assert all(issubclass(error, errors.MapsearchError) for error in TREE)


def test_the_drawn_tree_names_every_class():
    assert errors.__doc__ is not None
    assert all(error.__name__ in errors.__doc__ for error in TREE)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("optimiser", "; did you mean `optimizer`?"),
        ("zzz", ""),
        ("blocks.10", "; did you mean `blocks.1` or `blocks.0`?"),
    ],
)
def test_close_names_are_offered(name, hint):
    assert errors.did_you_mean(name, ["optimizer", "blocks.0", "blocks.1"]) == hint
