"""A trial exported and verified, as Python calls: what is written, what is said, and what becomes of the files."""

import shutil
from dataclasses import replace

import pytest

import mapsearch
from mapsearch.api import exports, queries
from mapsearch.core.errors import ExportError, TaskError, WrongExport
from mapsearch.exports import targets
from mapsearch.exports.frameworks import verify as verification


def test_export_is_the_packages(finished, tmp_path):
    said = mapsearch.export("tiny", "mapsearch", tmp_path / "recipe.yaml", storage=finished[1])
    verdict = queries.read("tiny", finished[1])[0].facts.verdict
    assert said.startswith(f"trial {verdict.exported} of tiny written to {tmp_path / 'recipe.yaml'}")
    assert ("the verdict recommends nothing" in said) == (verdict.recommended is None)


def test_any_trial_can_be_exported_and_verified(finished, tmp_path):
    _, trials, runs = queries.read("tiny", finished[1])
    trial = next(t.number for t in trials if t.proposer == "curve" and t.state == "complete")
    said = exports.export("tiny", "torch", tmp_path / "x.py", trial=trial, verify=True, storage=finished[1])
    first = f"trial {trial} of tiny written to {tmp_path / 'x.py'}; verified, 3 steps: first loss "
    assert said.startswith(first)
    exported, in_trial = (float(word) for word in said.removeprefix(first).split() if word[0].isdigit())
    assert exported == pytest.approx(in_trial, rel=1e-4)
    assert in_trial in [pytest.approx(r.result.first_loss, rel=1e-4) for r in runs if r.trial == trial]


def test_what_is_unsupported_is_said_and_the_file_compared_with_what_is_left(finished, tmp_path, monkeypatch):
    read = exports.export_source

    def gated(*stored):
        source = read(*stored)
        return replace(source, recipe=replace(source.recipe, balance="gate"))

    monkeypatch.setattr(exports, "export_source", gated)
    _, trials, _ = queries.read("tiny", finished[1])
    trial = next(t.number for t in trials if t.proposer == "curve" and t.state == "complete")
    asked = {"trial": trial, "storage": finished[1]}
    with pytest.raises(ExportError, match=f"cannot express all of trial {trial}: .*--lossy"):
        exports.export("tiny", "torch", tmp_path / "x.py", **asked)
    said = exports.export("tiny", "torch", tmp_path / "x.py", lossy=True, verify=True, **asked)
    assert "; unsupported: `balance: gate` changes the weights of the terms during training" in said
    assert "; verified, 3 steps: first loss " in said
    assert exports.verify_export("tiny", "torch", tmp_path / "x.py", storage=finished[1]).startswith(f"{tmp_path}")


@pytest.mark.parametrize("target", ["torch", "mapsearch"])
def test_a_header_that_says_what_is_not_so_is_caught(target, finished, tmp_path):
    _, trials, _ = queries.read("tiny", finished[1])
    one, other, *_ = (t.number for t in trials if t.recipe.mapping.pairs and t.state == "complete")
    path = tmp_path / f"x{targets.TARGETS[target].suffixes[0]}"
    exports.export("tiny", target, path, trial=one, storage=finished[1])
    text = path.read_text()
    for old, new, message in [
        (f"trial {one},", f"trial {other},", f"must say of trial {other} of `tiny`: `recipe: "),
        ("reference seed ", "reference seed 9", f"must say of trial {one} of `tiny`: `study: tiny, trial {one}, "),
        ("reference seed", "seed", "must name the study and trial"),
    ]:
        assert old in text
        path.write_text(text.replace(old, new))
        with pytest.raises(ExportError, match=message):
            exports.verify_export("tiny", target, path, storage=finished[1])
    assert exports.verify_export("tiny", target, path, trial=one, storage=finished[1]), "a header may be missing"
    path.unlink()
    with pytest.raises(ExportError, match=r"cannot be read: No such file or directory$"):
        exports.verify_export("tiny", target, path, storage=finished[1])


def test_a_trial_that_is_not_there(finished, tmp_path):
    with pytest.raises(ExportError, match="trial 999"):
        exports.export("tiny", "torch", tmp_path / "x.py", trial=999, storage=finished[1])
    assert not (tmp_path / "x.py").exists()


@pytest.fixture
def moved(finished, tmp_path):
    """A copy of the study in a folder of its own, and its database."""
    folder = shutil.copytree(finished[0].parent, tmp_path / "copy")
    url = f"sqlite:///{folder / 'study.db'}"
    mapsearch.run_study(mapsearch.load_study(folder / "study.yaml"), url)  # from now on its task lies there
    return folder, url


def test_a_file_stays_when_the_task_is_gone(moved, tmp_path):
    folder, url = moved
    (folder / "task.py").unlink()
    path = tmp_path / "x.py"
    with pytest.raises(TaskError, match=r"written to .*x\.py; .*not verified: .*task\.py` does not exist"):
        exports.export("tiny", "torch", path, verify=True, storage=url)
    assert path.exists()
    with pytest.raises(TaskError, match=r"task\.py` does not exist"):
        exports.verify_export("tiny", "torch", path, storage=url)
    assert path.exists()


def test_a_file_stays_when_the_trial_cannot_be_repeated(moved, tmp_path):
    """A task that has changed since gives another loss: the file says what the recipe says."""
    folder, url = moved
    task = folder / "task.py"
    task.write_text(task.read_text() + CHANGED)
    path = tmp_path / "x.py"
    with pytest.raises(ExportError, match=r"not verified: .*its data or .*teacher has changed") as caught:
        exports.export("tiny", "torch", path, verify=True, storage=url)
    assert not isinstance(caught.value, WrongExport)
    assert path.exists()


CHANGED = """


class Changed(Clusters):
    def loss(self, output, batch):
        return 1.5 * super().loss(output, batch)


Clusters = Changed
"""


@pytest.fixture
def two_wrong_files(monkeypatch):
    """The target `torch` writes a file with another loss, and a second file beside it."""
    target = targets.TARGETS["torch"]

    def render(source, path):
        ((path, text),) = target.render(source, path).items()
        wrong = text.replace("TASK_MULTIPLIER = ", "TASK_MULTIPLIER = 2 * ")
        return {path: wrong, path.with_name("beside.py"): "X = 1\n"}

    monkeypatch.setitem(targets.TARGETS, "torch", replace(target, render=render))


def test_wrong_files_are_deleted_and_nothing_else(two_wrong_files, finished, tmp_path):
    (tmp_path / "mine.py").write_text("mine")
    with pytest.raises(WrongExport, match=r"loss[^|]*deleted"):
        exports.export("tiny", "torch", tmp_path / "x.py", verify=True, storage=finished[1])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.py"]


def test_a_wrong_file_that_was_there_is_never_deleted(two_wrong_files, finished, tmp_path):
    exports.export("tiny", "torch", tmp_path / "x.py", storage=finished[1])
    with pytest.raises(WrongExport, match="loss"):
        exports.verify_export("tiny", "torch", tmp_path / "x.py", storage=finished[1])
    with pytest.raises(ExportError, match="already exists"):
        exports.export("tiny", "torch", tmp_path / "x.py", verify=True, storage=finished[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside.py", "x.py"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError("a fault of ours")])
def test_a_file_stays_when_verification_itself_breaks(error, finished, monkeypatch, tmp_path):
    def broken(*args):
        raise error

    monkeypatch.setattr(verification, "verify", broken)
    with pytest.raises((KeyboardInterrupt, RuntimeError)):
        exports.export("tiny", "torch", tmp_path / "x.py", verify=True, storage=finished[1])
    assert (tmp_path / "x.py").exists()


def test_a_loss_recorded_elsewhere_is_a_warning(finished, monkeypatch, tmp_path):
    whole = exports.export_source

    def elsewhere(*args):
        source = whole(*args)
        return replace(source, first_loss=source.first_loss * 1.001)

    monkeypatch.setattr(exports, "export_source", elsewhere)
    said = exports.export("tiny", "torch", tmp_path / "x.py", verify=True, storage=finished[1])
    assert "; warning: the first loss of the trial was" in said
