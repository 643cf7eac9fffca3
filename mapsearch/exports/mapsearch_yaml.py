"""Target `mapsearch`: the recipe with its frozen scales as canonical YAML, written and read back."""

import math
from pathlib import Path
from typing import Any

import yaml
from torch import nn

from mapsearch.core.errors import ExportError, MappingError, did_you_mean
from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.exports.attached import AttachedLoss, AttachedRecipe
from mapsearch.exports.capability import EVERYTHING
from mapsearch.exports.source import ExportSource, multipliers
from mapsearch.exports.target import Target, one_file
from mapsearch.losses.recipe_loss import RecipeLoss

_KEYS = ("study", "trial", "seed", "n_steps", "first_loss", "recipe", "scales", "multipliers")
_MIXED_KEYS = ("norms", "mixed_weights")
"""Per pair: there are norms where teacher features are mixed, and mixed weights where they were learned."""


def render(source: ExportSource) -> str:
    """The YAML text; `read` gives the same recipe and scales back, to the last bit.

    `scales` and `multipliers` are per feature term: per pair in the order of `recipe.pairs`, or per student
    layer where teacher features are mixed, then each divided by its norm. A multiplier is
    `feature_share * weight / scale`, which other trainers can take as it is.
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
    data |= {key: list(values) for key in _MIXED_KEYS if (values := getattr(source, key))}
    header = "".join(f"# {' '.join(line.split())}\n" for line in source.provenance)
    return header + yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120)


def read(path: Path) -> tuple[Recipe, tuple[float, ...], tuple[float, ...]]:
    """The recipe, the scales of its feature terms and the norms of its pairs (none where pairs are summed).

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
    terms, summed = recipe.feature_terms, recipe.aggregation == "sum"
    scales = _numbers(path, data, "scales", len(terms), "pair" if summed else "student layer")
    given = _numbers(path, data, "multipliers", len(terms), "pair" if summed else "student layer")
    n_pairs = len(recipe.mapping.pairs)
    norms = _numbers(path, data, "norms", 0 if summed else n_pairs, "pair")
    _numbers(path, data, "mixed_weights", n_pairs if recipe.aggregation == "mix" else 0, "pair")
    for term, value, wanted in zip(terms, given, multipliers(recipe, scales), strict=True):
        if not math.isclose(value, wanted, rel_tol=1e-6):
            raise ExportError(
                f"{path}: the multiplier of `{term.name}` must be feature_share * weight / scale "
                f"= {wanted:g} with weights that sum to one, but got {value:g}; export it again"
            )
    return recipe, scales, norms


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The loss of the file on these networks; its projectors start at random.

    Raises:
        ExportError: the file breaks the format.
        MappingError: its recipe is not legal in the space.
    """
    recipe, scales, norms = read(path)
    loss = RecipeLoss(recipe, space.student, space.teacher)
    loss.restore(scales, norms)
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
    known = (*_KEYS, *_MIXED_KEYS)
    problems += [f"{path}: unknown key `{key}`{did_you_mean(str(key), known)}" for key in data if key not in known]
    if problems:
        raise ExportError(*problems)
    return data


def _numbers(path: Path, data: dict[str, Any], key: str, n: int, each: str) -> tuple[float, ...]:
    """One positive number per term or pair."""
    values = data.get(key, [])
    if not isinstance(values, list) or len(values) != n or not all(_is_positive(value) for value in values):
        raise ExportError(f"{path}: `{key}` must be {n} finite numbers > 0, one per {each}, but got {values!r}")
    return tuple(float(value) for value in values)


def _is_positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value) and value > 0


TARGET = Target("canonical YAML: the recipe with its frozen scales", EVERYTHING, one_file(render), load)
