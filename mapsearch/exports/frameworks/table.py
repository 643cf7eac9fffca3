"""The table of frameworks: how a target's files are run."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import nn

from mapsearch.core.space import RecipeSpace
from mapsearch.exports.frameworks import mapsearch_yaml, modelopt, torch_module, torchdistill
from mapsearch.exports.frameworks.attached import AttachedLoss

Load = Callable[[Path, RecipeSpace, nn.Module, nn.Module], AttachedLoss]
"""Reads a written file back and attaches its loss to a student and a teacher, run by the framework itself; what is
wrong with the file may come out as any exception."""

FRAMEWORKS: dict[str, Load] = {
    "mapsearch": mapsearch_yaml.load,
    "torch": torch_module.load,
    "transformers": partial(torch_module.load, trainer="DistillationTrainer"),
    "lightning": partial(torch_module.load, trainer="DistillationModule"),
    "torchdistill": torchdistill.load,
    "modelopt": modelopt.load,
}
