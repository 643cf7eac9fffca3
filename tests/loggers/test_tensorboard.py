"""Real studies and trainings, logged from the command line and read back by TensorBoard's own reader."""

import json
import shutil

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from mapsearch.api.queries import read, show


@pytest.mark.slow
def test_a_study_is_read_back_by_tensorboard(write_study, url, tmp_path, mapsearch):
    study = write_study()
    process = mapsearch(
        "run", study, "--storage", url, "--inline", "--log-to", "tensorboard", "--log-dir", tmp_path / "logs"
    )
    _, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    read = EventAccumulator(str(tmp_path / "logs"))
    read.Reload()
    told = show("tiny", url)
    searched = {t["number"]: t["value"] for t in told["trials"] if not t["control"] and t["proposer"] != "tune"}
    logged = {event.step: event.value for event in read.Scalars("trials/value")}
    assert logged == pytest.approx({number: searched[number] for number in logged}, abs=1e-6)
    assert {t["number"] for t in told["trials"] if t["proposer"] in ("curve", "free", "move")} <= set(logged)
    assert read.Scalars("study/full_runs")[-1].step == told["n_complete"]
    (gain,) = read.Scalars("verdict/against_none")
    assert gain.value == pytest.approx(told["verdict"]["questions"][0]["difference"], abs=1e-6)
    assert told["verdict"]["sentence"].encode() in read.Tensors("verdict/text_summary")[0].tensor_proto.string_val[0]


def test_a_logger_writes_where_it_is_told(tmp_path):
    from mapsearch.core.events import Message, Standing
    from mapsearch.loggers.table import open_logger

    with open_logger("tensorboard", "tiny", tmp_path) as log:
        log(Message("search", "begins"))
        log(Standing(3, 10, 1.5, 60.0))
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    assert [(event.step, event.value) for event in read.Scalars("study/full_runs")] == [(3, 1.5)]
    assert b"search: begins" in read.Tensors("messages/text_summary")[0].tensor_proto.string_val[0]


def test_more_seeds_are_logged_like_the_study_itself(finished, tmp_path, capsys):
    from mapsearch.cli.main import cli

    url = f"sqlite:///{shutil.copytree(finished[0].parent, tmp_path / 'study') / 'study.db'}"
    command = ["confirm", "tiny", "--seeds", "8", "--storage", url, "--inline", "--log-to", "tensorboard"]
    cli.main([*command, "--log-dir", str(tmp_path / "logs")], standalone_mode=False)
    read = EventAccumulator(str(tmp_path / "logs"))
    read.Reload()
    sentence = show("tiny", url)["verdict"]["sentence"]
    assert sentence.encode() in read.Tensors("verdict/text_summary")[0].tensor_proto.string_val[0]


def test_a_final_training_is_read_back_with_its_terms(finished, tmp_path):
    from mapsearch.cli.main import cli

    trial = next(t.number for t in read("tiny", finished[1])[1] if t.recipe.mapping.pairs and t.state == "complete")
    command = ["train", "tiny", "--trial", str(trial), "-o", str(tmp_path / "student"), "--storage", finished[1]]
    cli.main([*command, "--report-to", "tensorboard", "--log-dir", str(tmp_path / "logs")], standalone_mode=False)
    log, report = EventAccumulator(str(tmp_path / "logs")), json.loads((tmp_path / "student/metrics.json").read_text())
    log.Reload()
    logged = {tag: {event.step: event.value for event in log.Scalars(tag)} for tag in log.Tags()["scalars"]}
    assert logged["train/loss"] == pytest.approx(dict(report["curve"]), rel=1e-6)
    terms = [values for tag, values in logged.items() if tag.startswith("train/") and tag != "train/loss"]
    assert any(" <- " in tag for tag in logged)
    for step, loss in report["curve"]:
        assert sum(values[step] for values in terms) == pytest.approx(loss, rel=1e-5)
    validations = {row["step"]: row["metrics"]["accuracy"] for row in report["validations"]}
    assert logged["valid/accuracy"] == pytest.approx(validations)
    for who, measured in (("final", report["metrics"]), ("teacher", report["teacher"])):
        at_end = {report["kept_step"]: measured["test"]["accuracy"]}
        assert logged[f"{who}/test/accuracy"] == pytest.approx(at_end)


@pytest.mark.parametrize(
    "command",
    [["run", "tiny"], ["confirm", "tiny", "--seeds", "4"], ["port", "tiny"], ["train", "tiny", "-o", "student"]],
)
def test_a_folder_without_a_tracker_is_refused_before_anything_runs(finished, write_study, command, tmp_path):
    from click import ClickException

    from mapsearch.cli.main import cli

    study = [str(write_study(name="deeper"))] if command[0] == "port" else []
    with pytest.raises(ClickException, match="--log-dir goes with --log-to"):
        cli.main([*command, *study, "--storage", finished[1], "--log-dir", str(tmp_path)], standalone_mode=False)
    assert show("tiny", finished[1])["state"] == "complete"
