"""The GPU benchmark: the same code on the CPU in its quick form; without a card it says so."""

import json
import sys

import pytest
import torch

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu.page import page


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["gpu", *map(str, arguments)])
    gpu.main()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_it_says_so_in_one_line(monkeypatch, capsys, tmp_path):
    run(monkeypatch, "--out", tmp_path)
    assert capsys.readouterr().out.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_every_part_runs_and_is_recorded(monkeypatch, tmp_path):
    run(monkeypatch, "--device", "cpu", "--quick", "--out", tmp_path)
    (file,) = tmp_path.glob("gpu-*.json")
    parts = json.loads(file.read_text())["parts"]
    assert {part: entry["ended"] for part, entry in parts.items()} == dict.fromkeys(gpu.SECONDS, "complete")
    assert all(entry["rows"] for part, entry in parts.items() if part != "tests")
    assert "error" not in {key for entry in parts.values() for row in entry["rows"] for key in row}
    assert file.with_suffix(".md").read_text().count("\n## ") == len(parts)


def part(monkeypatch, tmp_path, code, seconds):
    """The record of a part that is this Python code."""
    record = {"about": {"date": "2026-01-01"}, "parts": {}}
    lines_of = gpu.lines_of
    monkeypatch.setattr(gpu, "lines_of", lambda command, *rest: lines_of([sys.executable, "-c", code], *rest))
    gpu.run_part("memory", "cpu", True, seconds, record, tmp_path / "gpu.json")
    assert "## Memory" in page(record)
    return record["parts"]["memory"]


def test_rows_of_a_part_that_fails_are_kept(monkeypatch, tmp_path):
    entry = part(monkeypatch, tmp_path, "print('{\"row\": 1}', flush=True); raise SystemExit('the card is gone')", 60)
    assert entry["rows"] == [{"row": 1}]
    assert entry["ended"] == "exit code 1: the card is gone"


def test_a_part_that_does_not_end_is_cut_off(monkeypatch, tmp_path):
    code = "import time; print('{\"row\": 1}', flush=True); time.sleep(600)"
    entry = part(monkeypatch, tmp_path, code, 1.0)
    assert entry["ended"].startswith("cut off after")


def test_a_part_for_which_no_time_is_left_is_not_started(monkeypatch, tmp_path):
    assert part(monkeypatch, tmp_path, "print('{}')", 0.0)["ended"].startswith("not started")
