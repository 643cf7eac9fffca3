"""The canonical YAML read back: a recipe with its frozen scales and the settings of its training."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

import yaml

from mapsearch.core.errors import ExportError, MappingError, SpecError, did_you_mean
from mapsearch.core.facts import Network
from mapsearch.core.layers import Layer
from mapsearch.core.outputs import Outputs
from mapsearch.core.recipe import Recipe
from mapsearch.core.study_file import parse_section
from mapsearch.core.text import shortened
from mapsearch.core.training_settings import TrainingSettings
from mapsearch.exports.render.mapsearch_yaml import KEYS, MIXED_KEYS, SETTINGS
from mapsearch.exports.source import ExportSource, multipliers

PLAIN: dict[str, tuple[tuple[type, ...], str]] = {
    "study": ((str,), "a name"),
    "trial": ((int,), "a whole number"),
    "seed": ((int,), "a whole number"),
    "n_steps": ((int,), "a whole number"),
    "first_loss": ((int, float), "a number"),
    "verdict": ((str,), "a sentence"),
}


def read(path: Path) -> ExportSource:
    """What the file was written of: the recipe with its frozen scales, and how it was trained.

    Raises:
        ExportError: the file cannot be read, breaks the format, or contradicts itself.
    """
    data = _load(path)
    _require_plain(path, data)
    settings = _settings(path, data)
    with _form_of(path, "recipe"):
        recipe = Recipe.from_json(data["recipe"])
    with _form_of(path, "layers"):
        student, teacher = (tuple(map(Layer.from_json, data["layers"][network])) for network in get_args(Network))
    with _form_of(path, "outputs"):
        outputs = Outputs.from_json(data["outputs"])
    with _form_of(path, "versions"):
        ours, of_torch = (str(data["versions"][package]) for package in ("mapsearch", "torch"))
    terms, n_pairs, each = recipe.feature_terms, len(recipe.mapping.pairs), "pair"
    each_term = each if recipe.aggregation == "sum" else "student layer"
    scales = _numbers(path, data, "scales", len(terms), each_term)
    values = _numbers(path, data, "multipliers", len(terms), each_term)
    norms = _numbers(path, data, "norms", 0 if recipe.aggregation == "sum" else n_pairs, each)
    mixed_weights = _numbers(path, data, "mixed_weights", n_pairs if recipe.aggregation == "mix" else 0, each)
    for term, value, wanted in zip(terms, values, multipliers(recipe, scales), strict=True):
        if not math.isclose(value, wanted, rel_tol=1e-6):
            raise ExportError(
                f"{path}: the multiplier of `{term.name}` must be feature_share * weight / scale "
                f"= {wanted:g} with weights that sum to one, but got {value:g}; export it again"
            )
    return ExportSource(
        data["study"], data["trial"], recipe, student, teacher, scales, norms, mixed_weights, data["seed"],
        data["n_steps"], data["first_loss"], data["verdict"], settings.metric, tuple(data["values"]), ours, of_torch,
        outputs=outputs, settings=settings,
    )  # fmt: skip


@contextmanager
def _form_of(path: Path, key: str) -> Iterator[None]:
    """Says of what an error is."""
    try:
        yield
    except MappingError as error:
        raise ExportError(*(f"{path}: {key}: {problem}" for problem in error.problems)) from None
    except (TypeError, ValueError, AttributeError, LookupError) as error:  # not even of the right form
        raise ExportError(f"{path}: `{key}` is not what `mapsearch export` writes: {error}") from None


def _require_plain(path: Path, data: dict[str, Any]) -> None:
    """Make sure that names and numbers are such."""
    problems = [
        f"{path}: `{key}` must be {what}, but got {shortened(data[key])}"
        for key, (kinds, what) in PLAIN.items()
        if not isinstance(data[key], kinds) or isinstance(data[key], bool)
    ]
    if not (isinstance(data["values"], list) and all(isinstance(value, (int, float)) for value in data["values"])):
        problems.append(f"{path}: `values` must be a list of numbers, but got {shortened(data['values'])}")
    if problems:
        raise ExportError(*problems)


def _settings(path: Path, data: dict[str, Any]) -> TrainingSettings:
    given = {key: data[key] for key in SETTINGS}
    try:
        return parse_section(TrainingSettings, {**given, "folder": path.resolve().parent})
    except SpecError as error:
        raise ExportError(*(f"{path}: {problem}" for problem in error.problems)) from None


def _load(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"{path}: the exported file cannot be read: {getattr(error, 'strerror', error)}") from None
    except yaml.YAMLError as error:
        raise ExportError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ExportError(f"{path}: a recipe must be a mapping of keys to values, but got {type(data).__name__}")
    if "recipe" not in data and "task" in data:
        raise ExportError(f"{path} is a study file, not a recipe; `mapsearch run {path}` finds one")
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
