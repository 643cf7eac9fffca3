"""The benchmark of signals of short runs runs as its docstring says."""

import subprocess
import sys
from pathlib import Path


def test_it_runs_and_records(tmp_path):
    options = ["--quick", "--cache", str(tmp_path / "cache"), "--record", str(tmp_path / "recorded")]
    command = [sys.executable, "-m", "benchmarks.signals", *options]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "few_vectors: 3 mappings, 2 draws" in done.stdout
    signals = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("| ") and "+-" in line]
    assert signals[0] == "accuracy"
    assert {"loss", "agreement", "kl", "cosine"} <= set(signals)
    assert sorted(path.suffix for path in (tmp_path / "recorded").iterdir()) == [".json", ".md"]
