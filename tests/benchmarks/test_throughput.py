"""The throughput benchmark runs and compares what it says; its numbers are recorded, not tested."""

import json
from pathlib import Path

import pytest

from benchmarks import throughput
from benchmarks.ways import STUDENT

ROOT = Path(__file__).parents[2]


@pytest.fixture
def benchmark():
    return throughput


def test_the_networks_are_what_the_table_says(benchmark):
    small, large = (benchmark.setting(benchmark.Images(t), "cpu", 5, 8) for t in benchmark.TEACHERS.values())
    assert benchmark.sizes(small)["student_parameters"] == pytest.approx(150_000, rel=0.05)
    assert benchmark.sizes(small)["teacher_parameters"] == pytest.approx(1.5e6, rel=0.05)
    assert benchmark.operations(large)["teacher_forwards"] > benchmark.operations(small)["teacher_forwards"] > 3


def test_operations_are_counted(benchmark):
    alone, paired = (benchmark.operations(benchmark.setting(benchmark.Images(STUDENT), "cpu", 5, 8, n)) for n in (0, 1))
    assert alone["cached_by_operations"] == 1.0, "no projector"
    assert alone["live_by_operations"] == pytest.approx(1 / (1 + 1 / 3 / 8), abs=0.01), "its own size as a teacher"
    (s, t), positions, pair = (80, 80), 16, 3  # one linear map at each place of a 4 x 4 grid, forward and twice back
    per_image = 2 * pair * s * t * positions
    convolutions = (9 * 16 * 256, 9 * 16 * 32 * 64, 9 * 32 * 64 * 64, 9 * 64 * 96 * 16, 9 * 96 * 80 * 16)
    assert paired["cached_by_operations"] == pytest.approx(1 / (1 + per_image / 6 / sum(convolutions)), abs=0.02)


def test_every_way_trains_and_is_compared(benchmark, monkeypatch):
    monkeypatch.setattr(benchmark, "TEACHERS", {"tiny": ((4, 2), (8, 2), (8, 1))})
    monkeypatch.setattr(benchmark, "ROWS", (("tiny", "logits, one pair", 1),))
    (row,) = benchmark.table("cpu", n_trials=2, n_steps=5, repeats=1)
    assert json.loads(json.dumps(row)) == row
    for name in benchmark.RATIOS:
        one, other = name.split(" / ")
        assert row[name]["cpu"] == pytest.approx(row[other]["cpu"] / row[one]["cpu"], rel=0.01)


def test_the_result_is_written_and_drawn(benchmark, tmp_path):
    point = {way: {"cpu": 1.0, "wall": 2.0} for way in ("plain", "live", "cached", *benchmark.LIMITS)}
    ratio = {name: {"cpu": 0.5, "wall": 0.5} for name in benchmark.RATIOS}
    row = {"teacher": "big", "recipe": "logits", "teacher_parameters": 1000, "teacher_forwards": 3.0, **point, **ratio}
    row |= {"cached_by_operations": 0.9, "live_by_operations": 0.8}
    assert "| big (1,000) | 3.0 | logits | 1.00 | 1.00 |" in benchmark.text([row], {"date": "2026-01-01"}, "cpu")
    benchmark.draw(
        {"K": [{"K": k, **point} for k in (1, 8)], "pairs": [{"pairs": 2, **point}]}, "cpu", tmp_path / "x.png"
    )
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_the_recorded_result_is_whole():
    (path,) = sorted((ROOT / "benchmarks" / "recorded").glob("throughput-*.json"))
    found = json.loads(path.read_text(encoding="utf-8"))
    assert {row["K"] for row in found["table"]["rows"]} == {8}
    assert set(found["sweeps"]["rows"]) == {"K", "pairs", "teacher width"}
