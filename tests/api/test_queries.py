"""What the study database answers, as Python calls."""

import shutil
from dataclasses import replace

import pytest

import mapsearch
from mapsearch.api import queries
from mapsearch.core.errors import ExportError, StoreError, StudyNotFound, TaskError
from mapsearch.exports import targets
from mapsearch.exports.capability import EVERYTHING


def test_show_and_export_are_the_packages(finished, tmp_path):
    assert mapsearch.show("tiny", storage=finished[1]) == queries.show("tiny", finished[1])
    said = mapsearch.export("tiny", "mapsearch", tmp_path / "recipe.yaml", storage=finished[1])
    recommended = queries.show("tiny", finished[1])["verdict"]["recommended"]
    assert said == f"trial {recommended} of tiny written to {tmp_path / 'recipe.yaml'}"


def test_any_trial_can_be_exported_and_verified(finished, tmp_path):
    _, trials, runs = queries.read("tiny", finished[1])
    trial = next(t.number for t in trials if t.proposer == "curve" and t.state == "complete")
    said = queries.export("tiny", "torch", tmp_path / "x.py", trial=trial, verify=True, storage=finished[1])
    first = f"trial {trial} of tiny written to {tmp_path / 'x.py'}; verified, one batch: loss "
    assert said.startswith(first)
    exported, in_trial = (float(word) for word in said.removeprefix(first).split() if word[0].isdigit())
    assert exported == pytest.approx(in_trial, rel=1e-4)
    assert in_trial in [pytest.approx(r.result.first_loss, rel=1e-4) for r in runs if r.trial == trial]


def test_what_is_lost_is_said_and_the_file_held_against_what_is_left(finished, tmp_path, monkeypatch):
    capability = replace(EVERYTHING, weights="normalised", task_weight=False, anneal=False)
    monkeypatch.setitem(targets.TARGETS, "torch", replace(targets.TARGETS["torch"], capability=capability))
    _, trials, _ = queries.read("tiny", finished[1])
    trial = next(t.number for t in trials if t.proposer == "curve" and t.state == "complete")
    asked = {"trial": trial, "storage": finished[1]}
    with pytest.raises(ExportError, match=f"target `torch` loses something of trial {trial}: .*; --lossy writes it"):
        queries.export("tiny", "torch", tmp_path / "x.py", **asked)
    said = queries.export("tiny", "torch", tmp_path / "x.py", lossy=True, verify=True, **asked)
    assert "; lost: the task's loss has the multiplier " in said
    assert "; verified, one batch: loss " in said
    assert queries.verify_export("tiny", "torch", tmp_path / "x.py", storage=finished[1]).startswith(f"{tmp_path}")


def test_a_study_that_is_not_there(finished, tmp_path):
    with pytest.raises(StudyNotFound, match=r"no study `tinny` in .*; did you mean `tiny`\?"):
        queries.show("tinny", finished[1])
    with pytest.raises(StoreError, match=r"no study database at .*none\.db"):
        queries.show("tiny", f"sqlite:///{tmp_path / 'none.db'}")


def test_a_trial_that_is_not_there(finished, tmp_path):
    with pytest.raises(ExportError, match="trial 999"):
        queries.export("tiny", "torch", tmp_path / "x.py", trial=999, storage=finished[1])
    assert not (tmp_path / "x.py").exists()


def test_verify_says_when_the_task_is_gone(finished, tmp_path):
    folder = shutil.copytree(finished[0].parent, tmp_path / "copy")
    url = f"sqlite:///{folder / 'study.db'}"
    mapsearch.run_study(mapsearch.load_study(folder / "study.yaml"), url)  # from now on its task lies there
    (folder / "task.py").unlink()
    with pytest.raises(TaskError, match=r"copy/task\.py` does not exist"):
        queries.export("tiny", "torch", tmp_path / "x.py", verify=True, storage=url)
