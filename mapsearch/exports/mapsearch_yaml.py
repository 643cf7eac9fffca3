"""Target `mapsearch`: the recipe with its frozen scales as canonical YAML, written and read back."""

import math
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from mapsearch.core.errors import ExportError, MappingError, did_you_mean
from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.exports.attached import AttachedLoss, AttachedRecipe
from mapsearch.exports.source import ExportSource, multipliers
from mapsearch.losses.recipe_loss import RecipeLoss

_KEYS = ("study", "trial", "seed", "n_steps", "first_loss", "recipe", "scales", "multipliers")


def render(source: ExportSource) -> str:
    """The YAML text; `read` gives the same recipe and scales back, to the last bit.

    `scales` and `multipliers` are per pair, in the order of `recipe.pairs`; a multiplier is
    `feature_share * W / scale`, which other trainers can take as it is.
    """
    data = {
        "study": source.study,
        "trial": source.trial,
        "seed": source.seed,
        "n_steps": source.n_steps,
        "first_loss": source.first_loss,
        "recipe": source.recipe.to_json(),
        "scales": list(source.scales),
        "multipliers": list(multipliers(source.recipe, source.scales)),
    }
    header = "".join(f"# {' '.join(line.split())}\n" for line in source.provenance)
    return header + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


def read(path: Path) -> tuple[Recipe, tuple[float, ...]]:
    """The recipe and the scales of its pairs.

    Raises:
        ExportError: the file cannot be read, breaks the format, or contradicts itself.
    """
    data = _load(path)
    try:
        recipe = Recipe.from_json(data["recipe"])
    except MappingError as error:
        raise ExportError(*(f"{path}: recipe: {problem}" for problem in error.problems)) from None
    except (TypeError, ValueError, AttributeError) as error:  # not even of the right form
        raise ExportError(f"{path}: `recipe` is not what `mapsearch export` writes: {error}") from None
    scales = _numbers(path, data, "scales", recipe)
    given = _numbers(path, data, "multipliers", recipe)
    for pair, value, wanted in zip(recipe.mapping.pairs, given, multipliers(recipe, scales), strict=True):
        if not math.isclose(value, wanted, rel_tol=1e-6):
            raise ExportError(
                f"{path}: the multiplier of `{pair.student} <- {pair.teacher}` must be feature_share * weight / scale "
                f"= {wanted:g} with weights that sum to one, but got {value:g}; export it again"
            )
    return recipe, scales


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The loss of the file on these networks; its projectors start at random.

    Raises:
        ExportError: the file breaks the format.
        MappingError: its recipe is not legal in the space.
    """
    recipe, scales = read(path)
    loss = RecipeLoss(recipe, space.student, space.teacher)
    loss.scales.copy_(torch.tensor(scales))
    return AttachedRecipe(loss, student, teacher)


def _load(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: the exported file cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ExportError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ExportError(f"{path}: a mapping of keys to values must be given, but got {type(data).__name__}")
    problems = [f"{path}: `{key}` is missing; export it again" for key in _KEYS if key not in data]
    problems += [f"{path}: unknown key `{key}`{did_you_mean(str(key), _KEYS)}" for key in data if key not in _KEYS]
    if problems:
        raise ExportError(*problems)
    return data


def _numbers(path: Path, data: dict[str, Any], key: str, recipe: Recipe) -> tuple[float, ...]:
    """One positive number per pair."""
    values, n_pairs = data[key], len(recipe.mapping.pairs)
    if not isinstance(values, list) or len(values) != n_pairs or not all(_is_positive(value) for value in values):
        raise ExportError(f"{path}: `{key}` must be {n_pairs} finite numbers > 0, one per pair, but got {values!r}")
    return tuple(float(value) for value in values)


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0
