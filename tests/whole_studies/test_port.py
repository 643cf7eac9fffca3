"""A finished study ported to deeper networks: what held is used, what did not is said; controls and seeds are new."""

import json
import shutil

import pytest

from mapsearch.api.porting import port
from mapsearch.api.queries import read, show
from mapsearch.cli.main import cli
from mapsearch.controller.run import run, run_study
from mapsearch.core.errors import SpecError, StudyNotFound
from mapsearch.core.study_file import load_study
from mapsearch.core.trials import PROPOSALS

DEEPER = {"name": "deeper", "task": "task.py:Deeper", "search": {"trials": 9}}


@pytest.fixture
def old(finished, tmp_path):
    """The study file and the storage of a copy of the finished study `tiny`."""
    folder = shutil.copytree(finished[0].parent, tmp_path / "old")
    return folder / "study.yaml", f"sqlite:///{folder / 'study.db'}"


def test_a_study_is_ported_to_another_depth(old, write_study):
    _, url = old
    old_study, old_trials, _ = read("tiny", url)
    spec = load_study(write_study(**DEEPER))
    verdict = port("tiny", spec, url, inline=True)
    study, trials, runs = read("deeper", url)
    found = study.facts.port
    proposals = {t.number for t in old_trials if t.proposer in PROPOSALS}
    told = {row.trial for row in found.carried} | {number for number, _ in found.left_out}
    assert told - {old_study.facts.verdict.nominee} <= proposals <= told
    again = [t for t in trials if t.proposer == "ported"][: len(found.again)]
    assert len(again) == len(found.again) > 0
    assert all(any(run.trial == t.number and run.stage == "search" for run in runs) for t in again), "as real trials"
    assert {pair.student for t in again for pair in t.recipe.mapping.pairs} <= {f"blocks.{i}" for i in range(3)}
    assert found.n_compared >= 6
    assert sum(t.proposer in PROPOSALS for t in trials) == (max(3, len(found.again)) if found.holds else 9)
    assert {t.control for t in trials if t.proposer == "control"} >= {"none", "outputs", "uniform"}
    assert any(run.stage == "confirm" for run in runs)
    assert run_study(spec, url, inline=True) == verdict, "and run again it does nothing"
    assert read("deeper", url)[2] == runs
    data = show("deeper", url)
    assert json.loads(json.dumps(data["port"]))["correlation"] == found.correlation


def test_a_port_that_is_interrupted_goes_on(old, write_study):
    _, url = old
    spec = load_study(write_study(**DEEPER))
    for update in run(spec, url, inline=True, old_study="tiny"):
        if getattr(update, "proposer", "") == "ported":
            break
    port("tiny", spec, url, inline=True)
    study, trials, runs = read("deeper", url)
    again = [t.recipe for t in trials if t.proposer == "ported"]
    assert len(again) == len(set(again))
    assert study.facts.port.is_measured
    assert study.state == "complete"
    assert {run.state for run in runs} == {"complete"}


def test_what_cannot_be_ported_is_told_and_leaves_no_study(old, write_study):
    file, url = old
    spec = load_study(write_study(**DEEPER))
    with pytest.raises(StudyNotFound, match="tiny"):
        port("tinny", spec, url, inline=True)
    with pytest.raises(SpecError, match="to itself"):
        port("tiny", load_study(file), url, inline=True)
    with pytest.raises(StudyNotFound):
        read("deeper", url)
    other = spec.model_copy(update={"name": "begun"})
    run_study(other, url, inline=True)
    with pytest.raises(SpecError, match="has begun its own search"):
        port("tiny", other, url, inline=True)
    assert read("begun", url)[0].state == "complete"


def test_the_command_line_says_what_was_carried(old, write_study, capsys):
    _, url = old
    file = write_study(**DEEPER)
    cli.main(["port", "tiny", str(file), "--storage", url, "--inline"], standalone_mode=False)
    cli.main(["show", "deeper", "--storage", url], standalone_mode=False)
    said = " ".join(capsys.readouterr().out.split())
    assert "of `tiny` carried over in relative depth" in said
    assert "what `tiny` found" in said
