"""Target `mmrazor`: the config of a distiller, and beside it the plugin that registers the recipe's losses."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any

from mapsearch.core.recipe import BalanceName, Recipe
from mapsearch.exports.capability import EVERYTHING
from mapsearch.exports.hooked_features import LayerHooks, require_gradient
from mapsearch.exports.layout import docstring_line, literal
from mapsearch.exports.mmrazor_run import load, plugin_path
from mapsearch.exports.pasted import TORCH_IMPORTS, Part, pasted, term_arguments, term_parts, with_helpers
from mapsearch.exports.source import ExportSource, multipliers
from mapsearch.exports.target import Target
from mapsearch.features.modules import bare_modules
from mapsearch.features.taps import feature_of
from mapsearch.losses.recipe_loss import LOGIT_LOSSES

CAPABILITY = replace(EVERYTHING, balances=frozenset[BalanceName]({"frozen"}), masks=False)
_IMPORTS = f"""{TORCH_IMPORTS}
from mmengine.hooks import Hook
from mmrazor.models.algorithms import SingleTeacherDistill
from mmrazor.models.task_modules.recorder.base_recorder import BaseRecorder
from mmrazor.registry import HOOKS, MODELS, TASK_UTILS
"""


def files(source: ExportSource, path: Path, schema: str) -> dict[Path, str]:
    """The config, and the plugin that it imports."""
    plugin = plugin_path(path)
    return {path: _config(source, path.name, plugin.stem), plugin: _plugin(source, path.name)}


def _config(source: ExportSource, name: str, plugin: str) -> str:
    recipe, settings = source.recipe, []
    if recipe.mapping.pairs and recipe.anneal is not None:
        settings.append('custom_hooks = [dict(type="mmrazor.MapsearchFade")]')
    if recipe.uses_logits:
        settings.append("# the modules that put out the logits, `head.fc` in MMPretrain's classifiers: name yours")
        settings.append('student_logits = teacher_logits = "head.fc"')
    fields = {
        "provenance": _provenance(source),
        "config": name,
        "plugin": plugin,
        "settings": "\n".join(settings) + "\n" * bool(settings),
        "model": _python(_model(source)),
    }
    return pasted(Path(__file__).with_name("mmrazor_config.py.tmpl"), fields, ())


def _plugin(source: ExportSource, config: str) -> str:
    """The module that the config imports, with what this recipe uses of our code."""
    recipe = source.recipe
    parts: list[Part] = [LayerHooks, require_gradient, *with_helpers(bare_modules), *with_helpers(feature_of)]
    fields = {"provenance": _provenance(source), "config": config, "classes": "".join(_classes(recipe))}
    template = Path(__file__).with_name("mmrazor_plugin.py.tmpl")
    return pasted(template, fields, [*parts, *term_parts(recipe)], _IMPORTS)


def _classes(recipe: Recipe) -> Iterator[str]:
    if recipe.mapping.pairs:
        term = "FeatureTerm" if recipe.aggregation == "sum" else "MixedTerm"
        yield _filled("mmrazor_features.py.tmpl", term=term, loss=recipe.loss)
    if recipe.uses_logits:
        yield _filled("mmrazor_logits.py.tmpl", loss=LOGIT_LOSSES[recipe.logit_loss].__name__)


def _filled(template: str, **fields: str) -> str:
    return Template(Path(__file__).with_name(template).read_text(encoding="utf-8")).substitute(fields)


def _provenance(source: ExportSource) -> str:
    return "\n".join(docstring_line(line) for line in source.provenance)


def _model(source: ExportSource) -> dict[str, Any]:
    """The fields of `model` that are not the networks."""
    terms = _terms(source)
    distiller = {
        "type": "ConfigurableDistiller",
        "student_recorders": {name: _recorder("student", s) for name, (s, _, _) in terms.items()},
        "teacher_recorders": {name: _recorder("teacher", t) for name, (_, t, _) in terms.items()},
        "distill_losses": {f"loss_{name}": loss for name, (_, _, loss) in terms.items()},
        "loss_forward_mappings": {
            f"loss_{name}": {
                "student": {"recorder": name, "from_student": True},
                "teachers": {"recorder": name, "from_student": False},
            }
            for name in terms
        },
    }
    multiplier = (1 - source.recipe.feature_share) * source.recipe.task_weight
    return {"_scope_": "mmrazor", "type": "MapsearchDistill", "task_multiplier": multiplier, "distiller": distiller}


class _Name(str):
    """A variable of the config, written without quotes."""


def _terms(source: ExportSource) -> dict[str, tuple[list[str], list[str], dict[str, Any]]]:
    """By name: the student layers and teacher layers to record, and the loss between them."""
    recipe = source.recipe
    terms: dict[str, tuple[list[str], list[str], dict[str, Any]]] = {}
    if recipe.uses_logits:
        multiplier = (1 - recipe.feature_share) * recipe.logit_weight
        loss = {"type": "MapsearchLogitLoss", "multiplier": multiplier, "temperature": recipe.temperature}
        terms["logits"] = ([_Name("student_logits")], [_Name("teacher_logits")], loss)
    factors = multipliers(recipe, source.scales)
    for i, (term, factor, told) in enumerate(zip(recipe.feature_terms, factors, term_arguments(source), strict=True)):
        loss = {"type": "MapsearchFeatureLoss", "multiplier": factor, "anneal": recipe.anneal, **told}
        terms[f"term_{i}"] = ([term.student], list(term.teachers), loss)
    return terms


def _recorder(network: str, paths: list[str]) -> dict[str, Any]:
    return {"type": "MapsearchFeatures", "network": network, "source": paths}


def _python(value: Any, indent: str = "") -> str:
    """The value as configs are written: `dict(key=value)`, a key a line where that is long."""
    if isinstance(value, _Name):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_python, value))}]"
    if not isinstance(value, dict):
        return literal(value)
    flat = f"dict({', '.join(f'{key}={_python(inner)}' for key, inner in value.items())})"
    if len(flat) <= 90:
        return flat
    lines = (f"{indent}    {key}={_python(inner, f'{indent}    ')},\n" for key, inner in value.items())
    return f"dict(\n{''.join(lines)}{indent})"


TARGET = Target(
    "a config of a ConfigurableDistiller for MMRazor, with the plugin that it imports beside it",
    CAPABILITY,
    files,
    load,
    requires=("mmrazor", "mmengine", "mmcv"),
    install='pip install mmrazor mmengine mmcv-lite==2.1.0 joblib scikit-learn pydacefit "opencv-python<5"',
)
