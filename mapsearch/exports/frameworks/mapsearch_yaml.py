"""The canonical YAML, run: its recipe as our own loss."""

from pathlib import Path

from torch import nn

from mapsearch.core.space import RecipeSpace
from mapsearch.exports.frameworks.attached import AttachedLoss, attached_recipe
from mapsearch.exports.recipe_file import read
from mapsearch.losses.recipe_loss import RecipeLoss


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The loss of the file on these networks; its projectors start at random.

    Raises:
        ExportError: the file breaks the format.
        MappingError: its recipe is not legal in the space.
    """
    source = read(path)
    loss = RecipeLoss(source.recipe, space.student, space.teacher)
    loss.restore(source.scales, source.norms)
    return attached_recipe(loss, student, teacher)
