"""The benchmark runs, and counts what it says it counts; how long things take is not tested."""

import json

import pytest
import torch

from benchmarks import losses
from mapsearch.losses.recipe_loss import FEATURE_LOSSES


@pytest.fixture
def benchmark(monkeypatch):
    small = {"tokens": (4, "tokens", (5, 6), (5, 9)), "vectors": (8, "vector", (3,), (4,))}
    monkeypatch.setattr(losses, "SHAPES", small)
    return losses


def test_every_loss_is_measured_and_written_down(benchmark, tmp_path):
    path = benchmark.main(["--quick", "-o", str(tmp_path / "losses.md")])
    text, data = path.read_text(), json.loads(path.with_suffix(".json").read_text())
    assert "## vectors: 8 x vector [3] -> [4], features 0.0 MiB" in text
    assert {row["loss"] for row in data["rows"] if row["shape"] == "tokens"} == set(FEATURE_LOSSES)
    assert all(row["peak_mib"] > 0 for row in data["rows"])
    assert {"command", "date", "machine", "versions"} < data.keys()


def test_the_peak_is_of_what_lives_at_once(benchmark):
    x = torch.ones(1000)
    with benchmark.PeakBytes() as counted:
        for _ in range(5):
            y = x + 1  # 4000 bytes; the one before lives until it is replaced
        z = y.view(10, 100) * 2
        del y, z
        w = x * 3
    assert counted.peak == 8000
    assert sum(counted.live.values()) == w.nbytes
