"""`compare` and `copy` as they are typed."""

import json
import shutil

import pytest


@pytest.fixture
def twins(do, finished, tmp_path):
    """Storage with a finished study and its copy."""
    database = tmp_path / "twins.db"
    shutil.copyfile(finished[1].removeprefix("sqlite:///"), database)
    at = ("--storage", f"sqlite:///{database}")
    code, out, err = do("copy", "tiny", "twin", *at)
    assert (code, out.startswith("study twin holds what tiny does")) == (0, True), err
    return at


def test_a_study_and_its_copy_are_equal_in_all(do, twins):
    code, out, _ = do("compare", "tiny", "twin", *twins, "--json")
    told = json.loads(out)
    assert (code, told["studies"], told["settings"]) == (0, ["tiny", "twin"], {})
    assert all(one == other for one, other in told["results"].values())
    code, out, _ = do("compare", "tiny", "twin", *twins)
    assert code == 0
    assert "Both come to the same decision." in out
    assert "device time" in out


def test_a_misspelt_study_gets_a_close_match(refused, twins):
    assert "did you mean `twin`" in refused("compare", "tiny", "twim", *twins)[0]
