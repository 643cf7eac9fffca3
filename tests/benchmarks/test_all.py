"""Every benchmark is listed in the README with a command that runs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
COMMANDS = re.findall(r"`python -m benchmarks\.(\w+)[^`]*`", (FOLDER / "README.md").read_text(encoding="utf-8"))


def runnable() -> set[str]:
    """The benchmarks: files with a `main`, and packages with a `__main__`."""
    files = {path.stem for path in FOLDER.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
    return files | {path.parent.name for path in FOLDER.glob("*/__main__.py")}


def test_the_readme_lists_every_benchmark():
    assert sorted(set(COMMANDS)) == sorted(runnable())
    assert "python benchmarks/" not in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(runnable()))
def test_it_starts_as_a_module(name):
    if name == "balance":
        pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--quick" in done.stdout
