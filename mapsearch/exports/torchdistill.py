"""Target `torchdistill`: a YAML config that holds the mapping, and a plugin module of projectors and losses."""

from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any

import yaml

from mapsearch.core.recipe import BalanceName, Recipe
from mapsearch.exports.capability import EVERYTHING
from mapsearch.exports.feature_terms import logits_of
from mapsearch.exports.layout import docstring_line
from mapsearch.exports.pasted import module_name, pasted, term_arguments, term_parts
from mapsearch.exports.source import ExportSource, multipliers
from mapsearch.exports.target import Target
from mapsearch.exports.torchdistill_box import load
from mapsearch.losses.recipe_loss import LOGIT_LOSSES

_IMPORTS = """
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.hooks import RemovableHandle
from torchdistill.core.interfaces.registry import register_forward_proc_func
from torchdistill.losses.registry import register_func2extract_model_output, register_mid_level_loss
from torchdistill.models.registry import register_auxiliary_model_wrapper
from torchdistill.models.util import wrap_if_distributed
from torchdistill.models.wrapper import AuxiliaryModelWrapper
"""
_YOURS = """\
  # Yours: the data, the optimizer and how long. The loss on the labels is `extract_task_loss` in the plugin,
  # and `n_batches` below, if it is there, is num_epochs * batches per epoch.
  num_epochs: 1
  train_data_loader:
    dataset_id: train
    sampler: {class_or_func: !import_get {key: torch.utils.data.RandomSampler}, kwargs: {}}
    kwargs: {batch_size: 64, drop_last: true}
  optimizer: {key: AdamW, kwargs: {lr: 0.001}}
"""


def files(source: ExportSource, path: Path, schema: str) -> dict[Path, str]:
    """The config, and the plugin that its `dependencies` name."""
    plugin = f"{module_name(path)}_plugin"
    return {path: _config(source, plugin), path.with_name(f"{plugin}.py"): _plugin(source, path.name)}


def _config(source: ExportSource, plugin: str) -> str:
    recipe = source.recipe
    criterion = {
        "key": "WeightedSumLoss",
        "func2extract_model_loss": f"{plugin}.extract_task_loss",
        "kwargs": {
            "model_term": {"weight": (1 - recipe.feature_share) * recipe.task_weight},
            "sub_terms": _sub_terms(source, plugin),
        },
    }
    networks = {"teacher": _teacher(recipe, plugin), "student": _student(source, plugin)}
    header = "".join(f"# {' '.join(line.split())}\n" for line in source.provenance)
    dependencies = f"dependencies: [{{name: {plugin}}}]  # a file beside this one; its folder must be in PYTHONPATH\n"
    told = {**networks, "criterion": criterion}
    dumped = yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=118, default_flow_style=None)
    indented = "".join(f"  {line}\n" for line in dumped.splitlines())
    return f"{header}{dependencies}train:\n{_YOURS}{indented}"


def _teacher(recipe: Recipe, plugin: str) -> dict[str, Any]:
    config: dict[str, Any] = {"forward_proc": f"{plugin}.forward_inputs", "requires_grad": False}
    if recipe.mapping.pairs:
        layers = list(recipe.mapping.teacher_layers)
        config["auxiliary_model_wrapper"] = {"key": f"{plugin}.WatchedTeacher", "kwargs": {"layers": layers}}
    return config


def _student(source: ExportSource, plugin: str) -> dict[str, Any]:
    mapping, wrapper = source.recipe.mapping, {"key": f"{plugin}.MaskedStudent", "kwargs": {}}
    if mapping.pairs:
        kwargs = {
            "layers": list(mapping.student_layers),
            "anneal": source.recipe.anneal,
            "n_batches": source.n_steps,
            "terms": {f"feature{i}": arguments for i, arguments in enumerate(term_arguments(source))},
        }
        wrapper = {"key": f"{plugin}.ProjectedStudent", "kwargs": kwargs}
    return {"forward_proc": f"{plugin}.forward_inputs", "auxiliary_model_wrapper": wrapper}


def _sub_terms(source: ExportSource, plugin: str) -> dict[str, Any]:
    recipe, terms = source.recipe, {}
    if recipe.uses_logits:
        terms["logits"] = {
            "criterion": {"key": f"{plugin}.LogitLoss", "kwargs": {"temperature": recipe.temperature}},
            "weight": (1 - recipe.feature_share) * recipe.logit_weight,
        }
    for i, (term, factor) in enumerate(zip(recipe.feature_terms, multipliers(recipe, source.scales), strict=True)):
        kwargs = {"term": f"feature{i}", "student": term.student, "teachers": list(term.teachers)}
        terms[f"feature{i}"] = {"criterion": {"key": f"{plugin}.FeatureLoss", "kwargs": kwargs}, "weight": factor}
    return terms


def _plugin(source: ExportSource, config: str) -> str:
    recipe = source.recipe
    names = {
        "term": "FeatureTerm" if recipe.aggregation == "sum" else "MixedTerm",
        "loss": recipe.loss,
        "logit_loss": LOGIT_LOSSES[recipe.logit_loss].__name__,
    }
    used = {"features": bool(recipe.mapping.pairs), "logits": recipe.uses_logits}
    classes = "".join(Template(_template(name)).substitute(names) for name, is_used in used.items() if is_used)
    fields = {
        "config": config,
        "provenance": "\n".join(docstring_line(line) for line in source.provenance),
        "classes": classes,
    }
    place = Path(__file__).with_name("torchdistill_plugin.py.tmpl")
    return pasted(place, fields, [logits_of, *term_parts(recipe)], _IMPORTS)


def _template(name: str) -> str:
    return Path(__file__).with_name(f"torchdistill_{name}.py.tmpl").read_text(encoding="utf-8")


TARGET = Target(
    "a torchdistill config with a plugin module beside it",
    replace(EVERYTHING, balances=frozenset[BalanceName]({"frozen"})),
    files,
    load,
    requires=("torchdistill",),
    install="pip install torchdistill",
)
