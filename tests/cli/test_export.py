import json
import re
from typing import get_args

import pytest

from mapsearch.exports.names import TargetName
from mapsearch.exports.targets import TARGETS


@pytest.mark.parametrize(("target", "name"), [("torch", "distill.py"), ("mapsearch", "recipe.yaml")])
def test_export_writes_and_verifies(do, finished, tmp_path, target, name):
    code, out, err = do("export", "tiny", "--to", target, "-o", name, "--verify", "--storage", finished[1])
    assert (code, err) == (0, "")
    assert "verified, 3 steps: first loss" in out
    assert (tmp_path / name).stat().st_size > 0


def test_a_file_exported_earlier_is_verified_by_itself(do, refused, finished, tmp_path):
    storage = ["--storage", finished[1]]
    assert do("export", "tiny", "--to", "torch", "-o", "x.py", *storage)[0] == 0
    code, out, err = do("export", "tiny", "--to", "torch", "--verify", "x.py", *storage)
    assert (code, err) == (0, "")
    assert re.match(r"x\.py, trial \d+ of tiny: verified, 3 steps: first loss ", out)
    text = (tmp_path / "x.py").read_text()
    edited = re.sub(r"TASK_MULTIPLIER = .*", "TASK_MULTIPLIER = 7.0", text)
    (tmp_path / "x.py").write_text(edited)
    assert (
        "x.py: the student gradient norm of the recipe and of the file must be equal"
        in refused("export", "tiny", "--to", "torch", "--verify", "x.py", *storage)[0]
    )
    assert (tmp_path / "x.py").read_text() == edited, "it is the user's file and stays"


def test_a_file_is_held_against_the_trial_that_its_header_names(do, refused, finished, tmp_path):
    storage = ["--storage", finished[1]]
    trials = json.loads(do("show", "tiny", "--json", *storage)[1])["trials"]
    number = next(t["number"] for t in trials if t["proposer"] == "curve" and t["state"] == "complete")
    assert do("export", "tiny", "--to", "mapsearch", "-o", "x.yaml", "--trial", number, *storage)[0] == 0
    assert f"trial {number} of tiny" in do("export", "tiny", "--to", "mapsearch", "--verify", "x.yaml", *storage)[1]
    text = (tmp_path / "x.yaml").read_text().replace("# study: tiny,", "# study: other,")
    (tmp_path / "x.yaml").write_text(text)
    (line,) = refused("export", "tiny", "--to", "mapsearch", "--verify", "x.yaml", *storage)
    assert line.startswith("error: x.yaml")
    assert "`other`" in line
    assert "`tiny`" in line
    (line,) = refused("export", "tiny", "--to", "mapsearch", "--verify", "none.yaml", *storage)
    assert line.startswith("error: none.yaml: the exported file cannot be read: ")


def test_what_is_written_and_what_is_looked_at_are_told_apart(refused, finished):
    storage = ["--storage", finished[1]]
    assert "-o FILE" in refused("export", "tiny", "--to", "torch", *storage)[0]
    (line,) = refused("export", "tiny", "--to", "torch", "--verify", "x.py", "-o", "y.py", *storage)
    assert line.startswith("error: --verify x.py")
    assert all(option in line for option in ("-o", "--lossy"))


@pytest.mark.parametrize("target", [name for name in get_args(TargetName) if TARGETS[name].missing][:1])
def test_without_its_framework_the_file_is_left_and_said_to_be_not_verified(target, refused, finished, tmp_path):
    path = tmp_path / f"x{TARGETS[target].suffixes[0]}"
    (line,) = refused(
        "export", "tiny", "--to", target, "-o", path.name, "--lossy", "--verify", "--storage", finished[1]
    )
    assert re.search(r"^error: trial \d+ of tiny written to x\.\w+.*; not verified: running it needs ", line)
    assert f"; {TARGETS[target].install}, then `mapsearch export tiny --to {target} --verify {path.name}`" in line
    assert path.exists()


def test_an_unknown_study_trial_or_target(refused, finished, tmp_path):
    storage = ["--storage", finished[1]]
    assert "no study `tinny`" in refused("show", "tinny", *storage)[0]
    assert "did you mean `tiny`?" in refused("show", "tinny", *storage)[0]
    assert "trial 999" in refused("export", "tiny", "--to", "torch", "-o", "x.py", "--trial", "999", *storage)[0]
    (line,) = refused("export", "tiny", "--to", "troch", "-o", "x.py", *storage)
    assert "unknown target `troch`; did you mean `torch`?" in line
    assert not list(tmp_path.iterdir())


def test_an_output_that_is_there_is_not_overwritten(refused, finished, tmp_path):
    (tmp_path / "x.py").write_text("mine")
    (line,) = refused("export", "tiny", "--to", "torch", "-o", "x.py", "--storage", finished[1])
    assert line.startswith("error: x.py already exists; ")
    assert (tmp_path / "x.py").read_text() == "mine"
