"""Target `torchdistill`: a YAML config that holds the mapping, and a plugin module of projectors and losses."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from mapsearch.core.recipe import BalanceName, Recipe
from mapsearch.exports.capability import EVERYTHING, Unsupported
from mapsearch.exports.render.template import rendered
from mapsearch.exports.render.terms import term_arguments
from mapsearch.exports.render.text_layout import comments, docstring_line, dumped_yaml, module_name
from mapsearch.exports.source import ExportSource, multipliers
from mapsearch.exports.target import Target

_TO_FILL_IN = """\
  # Fill in the data, the optimizer and the number of epochs. The loss on the labels is `extract_task_loss` in the
  # plugin, and `n_batches` below, if it is there, is num_epochs * batches per epoch.
  num_epochs: 1
  train_data_loader:
    dataset_id: train
    sampler: {class_or_func: !import_get {key: torch.utils.data.RandomSampler}, kwargs: {}}
    kwargs: {batch_size: 64, drop_last: true}
  optimizer: {key: AdamW, kwargs: {lr: 0.001}}
"""


def render(source: ExportSource, path: Path, schema: str) -> dict[Path, str]:
    """The config, and the plugin module that its `dependencies` name."""
    plugin = f"{module_name(path)}_plugin"
    return {
        path: _config(source, plugin),
        path.with_name(f"{plugin}.py"): rendered("torchdistill_plugin", source, config=docstring_line(path.name)),
    }


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
    dependencies = f"dependencies: [{{name: {plugin}}}]  # a file beside this one; its folder must be in PYTHONPATH\n"
    dumped = dumped_yaml({**networks, "criterion": criterion}, width=118, default_flow_style=None)
    indented = "".join(f"  {line}\n" for line in dumped.splitlines())
    return f"{comments(source.provenance)}{dependencies}train:\n{_TO_FILL_IN}{indented}"


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
            "features_until": source.recipe.features_until,
            "n_batches": source.n_steps,
            "terms": {f"feature{i}": arguments for i, arguments in enumerate(term_arguments(source))},
        }
        wrapper = {"key": f"{plugin}.ProjectedStudent", "kwargs": kwargs}
    return {"forward_proc": f"{plugin}.forward_inputs", "auxiliary_model_wrapper": wrapper}


def _sub_terms(source: ExportSource, plugin: str) -> dict[str, Any]:
    recipe, terms = source.recipe, {}
    if recipe.uses_outputs:
        terms["outputs"] = {
            "criterion": {"key": f"{plugin}.OutputLoss", "kwargs": {"temperature": recipe.temperature}},
            "weight": (1 - recipe.feature_share) * recipe.output_weight,
        }
    for i, (term, factor) in enumerate(zip(recipe.feature_terms, multipliers(recipe, source.scales), strict=True)):
        kwargs = {"term": f"feature{i}", "student": term.student, "teachers": list(term.teachers)}
        terms[f"feature{i}"] = {"criterion": {"key": f"{plugin}.FeatureLoss", "kwargs": kwargs}, "weight": factor}
    return terms


def unsupported(source: ExportSource) -> tuple[Unsupported, ...]:
    """What the capability cannot say: a task loss other than the plugin's cross entropy."""
    outputs = source.outputs
    if not source.recipe.uses_task or (outputs.kind == "classes" and not outputs.next_token):
        return ()
    kind = "the next token's" if outputs.next_token else f"that of {outputs.kind}"
    way_out = "but `extract_task_loss` of the plugin is cross entropy: put the task's loss there"
    return (Unsupported(f"the task's loss is {kind}, {way_out}"),)


TARGET = Target(
    "a torchdistill config with a plugin module beside it",
    replace(EVERYTHING, balances=frozenset[BalanceName]({"frozen"}), outputs="logits"),
    render,
    unsupported,
    requires=("torchdistill",),
    install="pip install torchdistill",
)
