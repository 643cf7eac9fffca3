"""The benchmark of shares of the loss and of the gradient runs as its docstring says."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_it_runs_and_records(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    command = ["-m", "benchmarks.gradient_share", "--quick", "--record", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *command], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("| outputs alone |") == 2
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json", ".md"]
