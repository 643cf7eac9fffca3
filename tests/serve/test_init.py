"""What the room must never do."""

import subprocess
import sys
from pathlib import Path

IMPORT_ALL = """
import importlib, pkgutil, sys
import mapsearch.serve
for module in pkgutil.walk_packages(mapsearch.serve.__path__, "mapsearch.serve."):
    importlib.import_module(module.name)
print(*(name for name in sys.modules if name == "torch" or name.startswith("mapsearch.")))
"""

TRAINING = {"controller", "training", "distill", "check", "executors", "tasks", "losses", "features"}


def test_the_service_loads_neither_torch_nor_anything_that_trains():
    code = [sys.executable, "-c", IMPORT_ALL]
    loaded = subprocess.run(
        code, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    ).stdout.split()
    assert "mapsearch.serve.app" in loaded
    assert "torch" not in loaded
    assert not TRAINING & {name.split(".")[1] for name in loaded}


def test_a_service_that_was_asked_holds_no_torch(service):
    service.call("GET", "/studies/tiny")
    maps = Path(f"/proc/{service.process.pid}/maps")
    assert not maps.exists() or "libtorch" not in maps.read_text()
