"""The table of frameworks: how a target's files are run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from mapsearch.core.space import RecipeSpace
from mapsearch.exports.capability import TargetName
from mapsearch.exports.frameworks import distillkit, mapsearch_yaml, megatron, modelopt, torch_module, torchdistill
from mapsearch.exports.frameworks.attached import AttachedLoss
from mapsearch.losses.recipe_loss import RecipeLoss


def unchanged(loss: RecipeLoss) -> None:
    """Leave our projectors as they are: the framework has the same."""


@dataclass(frozen=True)
class Framework:
    """What runs the files of a target.

    `load` reads a written file back and attaches its loss to a student and a teacher, run by the framework itself;
    what is wrong with the file may come out as any exception. `adapt` makes our projectors those of the framework,
    where it has fewer of them or no bias.
    """

    load: Callable[[Path, RecipeSpace, nn.Module, nn.Module], AttachedLoss]
    adapt: Callable[[RecipeLoss], None] = unchanged


FRAMEWORKS: dict[TargetName, Framework] = {
    "mapsearch": Framework(mapsearch_yaml.load),
    "torch": Framework(torch_module.load),
    "torchdistill": Framework(torchdistill.load),
    "modelopt": Framework(modelopt.load),
    "megatron": Framework(megatron.load, megatron.share_one_projector),
    "distillkit": Framework(distillkit.load, distillkit.remove_biases),
}
