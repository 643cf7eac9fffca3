"""The benchmark of aggregations and balances runs as its docstring says."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_it_runs_and_records(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    command = ["benchmarks/balance.py", "--seeds", "2", "--steps", "5", "--record", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *command], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert "failed" not in done.stdout
    assert done.stdout.count("| sum frozen |") == 2
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md"]
