"""The table of targets, its twin of frameworks, and that writing needs no torch."""

import subprocess
import sys
from typing import get_args

from mapsearch.exports.frameworks.table import FRAMEWORKS
from mapsearch.exports.names import TargetName
from mapsearch.exports.targets import TARGETS

WRITE_ALL = """
import sys
from pathlib import Path
from mapsearch.api import exports
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.exports.source import ExportSource
from mapsearch.exports.targets import TARGETS
from mapsearch.exports.write import write

pairs = [("model.layers.1", "model.layers.3"), ("model.layers.1", "model.layers.4")]
mapping = LayerMapping(tuple(Pair(*pair, 1.0) for pair in pairs))
sides = [tuple(Layer(x, "", "tokens", (16, 8), 1) for x in paths) for paths in zip(*dict.fromkeys(pairs))]
sides = [tuple(dict.fromkeys(side)) for side in sides]
recipe = Recipe(mapping, loss="mse", feature_share=0.5, output_weight=1.0, projector="none", anneal=None)
source = ExportSource(
    "s", 0, recipe, *sides, (1.0, 2.0), (), (), 0, 9, 1.0, "", (0.5,), "0", "2",
    settings=TrainingSettings(task="task.py:Net", metric="loss", direction="minimize"),
)
for name in TARGETS:
    path = Path(sys.argv[1]) / f"{name}{TARGETS[name].suffixes[0]}"
    write(name, source, path, lossy=True)
    print(name, path.stat().st_size > 0)
print("torch" in sys.modules)
"""


def test_all_targets_are_known_by_name_and_can_be_run():
    assert tuple(TARGETS) == tuple(FRAMEWORKS) == get_args(TargetName)


def test_every_target_is_written_without_torch(tmp_path):
    command = [sys.executable, "-W", "error", "-c", WRITE_ALL, str(tmp_path)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert lines == [*(f"{name} True" for name in TARGETS), "False"]
