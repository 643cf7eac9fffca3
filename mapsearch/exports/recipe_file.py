"""The canonical YAML read back: a recipe with its frozen scales and the settings of its training."""

import math
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from mapsearch.core.errors import ExportError, MappingError, SpecError
from mapsearch.core.layers import Layer
from mapsearch.core.outputs import Outputs
from mapsearch.core.recipe import Recipe
from mapsearch.core.section import Section
from mapsearch.core.study_file import NOT_IN_FILE, parse_section
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.exports.source import ExportSource, multipliers

Numbers = tuple[Annotated[float, Field(gt=0)], ...]
MIXED_KEYS = ("norms", "mixed_weights")
"""Keys that only recipes have which mix teacher features."""


class Versions(Section):
    """What the file was written with."""

    mapsearch: str
    torch: str


class Layers(Section):
    """Those of the recipe's pairs."""

    student: tuple[Layer, ...]
    teacher: tuple[Layer, ...]


class RecipeFile(TrainingSettings):
    """The keys of the file; `render/mapsearch_yaml.py` writes them and says what the numbers are."""

    study: str
    trial: int
    seed: int
    n_steps: int
    first_loss: float
    verdict: str
    values: tuple[float, ...]
    versions: Versions
    outputs: Outputs
    layers: Layers
    recipe: dict[str, Any]
    scales: Numbers
    multipliers: Numbers
    norms: Numbers = ()
    mixed_weights: Numbers = ()


def read(path: Path) -> ExportSource:
    """What the file was written of: the recipe with its frozen scales, and how it was trained.

    Raises:
        ExportError: the file cannot be read, breaks the format, or contradicts itself.
    """
    try:
        file = parse_section(RecipeFile, {**_load(path), "folder": path.resolve().parent})
        recipe = _recipe(file)
    except SpecError as error:
        raise ExportError(*(f"{path}: {problem}" for problem in error.problems)) from None
    settings = TrainingSettings(**{key: getattr(file, key) for key in TrainingSettings.model_fields})
    return ExportSource(
        file.study, file.trial, recipe, file.layers.student, file.layers.teacher, file.scales, file.norms,
        file.mixed_weights, file.seed, file.n_steps, file.first_loss, file.verdict, file.values,
        file.versions.mapsearch, file.versions.torch, outputs=file.outputs, settings=settings,
    )  # fmt: skip


def _load(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"the exported file cannot be read: {getattr(error, 'strerror', error)}") from None
    except yaml.YAMLError as error:
        raise SpecError(f"not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise SpecError(f"a recipe must be a mapping of keys to values, but got {type(data).__name__}")
    if "recipe" not in data and "task" in data:
        raise SpecError(f"this is a study file, not a recipe; `mapsearch run {path}` finds one")
    needed = [key for key in RecipeFile.model_fields if key not in (*MIXED_KEYS, *NOT_IN_FILE)]
    problems = [f"`{key}` is missing; export it again" for key in needed if key not in data]
    problems += [f"`{key}` is not a key of a recipe; remove it" for key in data if key in NOT_IN_FILE]
    if problems:
        raise SpecError(*problems)
    return data


def _recipe(file: RecipeFile) -> Recipe:
    """The recipe, which the numbers of the file fit."""
    try:
        recipe = Recipe.from_json(file.recipe)
    except MappingError as error:
        raise SpecError(*(f"recipe: {problem}" for problem in error.problems)) from None
    except (TypeError, ValueError, AttributeError, LookupError) as error:  # not even of the right form
        raise SpecError(f"`recipe` is not what `mapsearch export` writes: {error}") from None
    n_pairs, n_terms, is_mixed = len(recipe.mapping.pairs), len(recipe.feature_terms), recipe.aggregation != "sum"
    counts = {"scales": n_terms, "multipliers": n_terms, "norms": is_mixed * n_pairs}
    counts["mixed_weights"] = n_pairs if recipe.aggregation == "mix" else 0
    for key, n in counts.items():
        each = "student layer" if is_mixed and key not in MIXED_KEYS else "pair"
        if len(given := list(getattr(file, key))) != n:
            raise SpecError(f"`{key}` must be {n} finite numbers > 0, one per {each}, but got {given}")
    for term, value, wanted in zip(
        recipe.feature_terms, file.multipliers, multipliers(recipe, file.scales), strict=True
    ):
        if not math.isclose(value, wanted, rel_tol=1e-6):
            raise SpecError(
                f"the multiplier of `{term.name}` must be feature_share * weight / scale "
                f"= {wanted:g} with weights that sum to one, but got {value:g}; export it again"
            )
    return recipe
