"""Target `torchdistill`: a YAML config, and a plugin module that holds the mapping with its projectors and losses."""

from pathlib import Path
from typing import Any

from mapsearch.core.train_spec import TrainSpec
from mapsearch.exports.render.template import rendered
from mapsearch.exports.render.text_layout import comments, dumped_yaml, module_name, rounded
from mapsearch.exports.source import ExportSource

_DATA = """\
  # Fill in the data and the number of epochs; `n_batches` below is num_epochs * batches per epoch. The loss on the
  # labels is `extract_task_loss` in the plugin.
  num_epochs: 1
  train_data_loader:
    dataset_id: train
    sampler: {{class_or_func: !import_get {{key: torch.utils.data.RandomSampler}}, kwargs: {{}}}}
    kwargs: {{batch_size: {batch_size}, drop_last: true}}
"""


def render(source: ExportSource, path: Path) -> dict[Path, str]:
    """The config, and the plugin module that its `dependencies` name."""
    plugin = f"{module_name(path)}_plugin"
    return {
        path: _config(source, plugin),
        path.with_name(f"{plugin}.py"): rendered("torchdistill", source, path),
    }


def _config(source: ExportSource, plugin: str) -> str:
    recipe, train = source.recipe, source.settings.train
    teacher = {"key": f"{plugin}.WatchedTeacher", "kwargs": {}}
    student = {"key": f"{plugin}.DistilledStudent", "kwargs": {"n_batches": source.n_steps * train.accumulate}}
    schedule = {"n_steps": source.n_steps, "warmup": train.warmup, "schedule": train.schedule}
    terms = {
        "model_term": {"weight": rounded((1 - recipe.feature_share) * recipe.task_weight)},
        "sub_terms": {"matching": {"criterion": {"key": f"{plugin}.Matching", "kwargs": {}}, "weight": 1.0}},
    }
    extract, forward = f"{plugin}.extract_task_loss", {"forward_proc": f"{plugin}.forward_inputs"}
    config = {
        "optimizer": _optimizer(train, rounded(train.lr * recipe.lr_factor)),
        "scheduler": {"key": f"{plugin}.study_schedule", "kwargs": schedule, "scheduling_step": 1},
        "teacher": {**forward, "requires_grad": False, "auxiliary_model_wrapper": teacher},
        "student": {**forward, "auxiliary_model_wrapper": student},
        "criterion": {"key": "WeightedSumLoss", "func2extract_model_loss": extract, "kwargs": terms},
    }
    dependencies = f"dependencies: [{{name: {plugin}}}]  # a file beside this one; its folder must be in PYTHONPATH\n"
    dumped = dumped_yaml(config, width=118, default_flow_style=None)
    indented = "".join(f"  {line}\n" for line in dumped.splitlines())
    data = _DATA.format(batch_size=train.batch_size)
    return f"{comments(source.provenance)}{dependencies}train:\n{data}{indented}"


def _optimizer(train: TrainSpec, lr: float) -> dict[str, Any]:
    key, more = ("SGD", {"momentum": 0.9, "nesterov": True}) if train.optimizer == "sgd" else ("AdamW", {})
    kwargs = {"lr": lr, "weight_decay": train.weight_decay, **more}
    return {"key": key, "kwargs": kwargs, "grad_accum_step": train.accumulate, "max_grad_norm": train.max_grad_norm}
