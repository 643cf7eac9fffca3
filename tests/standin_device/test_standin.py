"""Everything that runs on a GPU runs on a stand-in device, with results equal to the CPU's bit for bit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "scenarios",
    [
        ["pictures"],
        pytest.param(["sentences"], marks=pytest.mark.slow),
        ["data on the device", "without a cache", "planted mistakes"],
        ["check and similarity"],
        pytest.param(["clusters"], marks=pytest.mark.slow),
        pytest.param(["whole study"], marks=pytest.mark.slow),
    ],
    ids=lambda scenarios: ", ".join(scenarios),
)
def test_it_runs_on_the_device_as_on_the_cpu(scenarios):
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{TESTS.parent}", "OMP_NUM_THREADS": "1"}
    script = Path(__file__).parent / "scenarios.py"
    done = subprocess.run([sys.executable, script, *scenarios], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("as on the CPU") == len(scenarios)
