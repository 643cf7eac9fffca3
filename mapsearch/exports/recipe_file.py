"""The canonical YAML read back: a recipe with its frozen scales."""

import math
from pathlib import Path
from typing import Any

import yaml

from mapsearch.core.errors import ExportError, MappingError, did_you_mean
from mapsearch.core.recipe import Recipe
from mapsearch.exports.render.mapsearch_yaml import KEYS, MIXED_KEYS
from mapsearch.exports.source import multipliers


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
    values = _numbers(path, data, "multipliers", len(terms), "pair" if summed else "student layer")
    n_pairs = len(recipe.mapping.pairs)
    norms = _numbers(path, data, "norms", 0 if summed else n_pairs, "pair")
    _numbers(path, data, "mixed_weights", n_pairs if recipe.aggregation == "mix" else 0, "pair")
    for term, value, wanted in zip(terms, values, multipliers(recipe, scales), strict=True):
        if not math.isclose(value, wanted, rel_tol=1e-6):
            raise ExportError(
                f"{path}: the multiplier of `{term.name}` must be feature_share * weight / scale "
                f"= {wanted:g} with weights that sum to one, but got {value:g}; export it again"
            )
    return recipe, scales, norms


def _load(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: the exported file cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ExportError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ExportError(f"{path}: a recipe must be a mapping of keys to values, but got {type(data).__name__}")
    problems = [f"{path}: `{key}` is missing; export it again" for key in KEYS if key not in data]
    known = (*KEYS, *MIXED_KEYS)
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
