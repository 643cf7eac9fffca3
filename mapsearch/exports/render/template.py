"""Templates: Python modules in `templates/` with `$fields`, and with sections that only some recipes have."""

import re
from dataclasses import asdict
from pathlib import Path
from string import Template

from mapsearch.core.losses import OUTPUT_LOSS_FUNCTIONS
from mapsearch.core.outputs import CLASS_SCORES
from mapsearch.core.recipe import Recipe
from mapsearch.exports.render.source_inlining import inlined
from mapsearch.exports.render.terms import term_calls
from mapsearch.exports.render.text_layout import docstring_line, laid_out, literal, rounded
from mapsearch.exports.source import ExportSource

_LICENCE = "# SPDX-License-Identifier: Apache-2.0\n"
_FOLDER = Path(__file__).with_name("templates")
_INCLUDED = re.compile(r"^# <<(?P<name>\w+)>>\n", re.MULTILINE)
"""A line that stands for another template."""
_SECTION = re.compile(r"^ *# <(?P<name>\w+)>\n(?P<body>.*?)^ *# </(?P=name)>\n", re.MULTILINE | re.DOTALL)
_OPTIMIZERS = {
    "adamw": "AdamW(parameters, lr={lr}, weight_decay={weight_decay})",
    "sgd": "SGD(parameters, lr={lr}, momentum=0.9, nesterov=True, weight_decay={weight_decay})",
}


def rendered(template: str, source: ExportSource, path: Path) -> str:
    """The template of that name, filled for a recipe, with the source of what it imports from mapsearch.

    Lines between `# <features>` and `# </features>` stay where the recipe matches features, and likewise those of
    `outputs` and `fading`.

    Args:
        path: of the file that a user names when it is written; the task's file is named from there.
    """
    recipe, text = source.recipe, _text(template)
    present = {"features": bool(recipe.mapping.pairs), "outputs": recipe.uses_outputs, "fading": _fades(recipe)}
    while included := _INCLUDED.search(text):
        text = text.replace(included[0], _text(included["name"]))
    text = _SECTION.sub(lambda section: section["body"] if present[section["name"]] else "", text)
    fields = {**_recipe_fields(source), **_training_fields(source), **_task_fields(source, path)}
    return _LICENCE + inlined(Template(text).substitute(fields))


def _text(template: str) -> str:
    return (_FOLDER / f"{template}.py.tmpl").read_text(encoding="utf-8")


def _recipe_fields(source: ExportSource) -> dict[str, str]:
    recipe, rest = source.recipe, 1 - source.recipe.feature_share
    has_tokens = any(layer.kind == "tokens" for layer in (*source.student, *source.teacher))
    has_pairs = bool(recipe.mapping.pairs)
    read_outputs = '[logits_of(io_dict["."]["output"]) for io_dict in sides]'
    return {
        "provenance": "\n".join(docstring_line(line) for line in source.provenance),
        "task_multiplier": repr(rounded(rest * recipe.task_weight)),
        "output_multiplier": repr(rounded(rest * recipe.output_weight)),
        "feature_share": repr(recipe.feature_share),
        "temperature": repr(recipe.temperature),
        "anneal": repr(recipe.anneal),
        "features_until": repr(recipe.features_until),
        "terms": "".join(f"        {laid_out(call, 8)},\n" for call in term_calls(source)),
        "term": "FeatureTerm" if recipe.aggregation == "sum" else "MixedTerm",
        "loss": recipe.loss,
        "output_loss": OUTPUT_LOSS_FUNCTIONS[recipe.output_loss],
        "fade": " * fade(ANNEAL, FEATURES_UNTIL, progress)" if _fades(recipe) else "",
        "features": "self.student.take(), self.teacher.take()" if has_pairs else "{}, {}",
        "hooked": "self.hooks.take()" if has_pairs else "{}",
        "io_outputs": read_outputs if recipe.uses_outputs else "None, None",
        "mask": "mask=mask, " if has_tokens else "",
    }


def _fades(recipe: Recipe) -> bool:
    return bool(recipe.mapping.pairs) and (recipe.anneal is not None or recipe.features_until < 1)


def _training_fields(source: ExportSource) -> dict[str, str]:
    train, share = source.settings.train, source.recipe.feature_share
    lr = rounded(train.lr * source.recipe.lr_factor)
    follows_size = train.optimizer == "sgd" and share < 1  # its steps are as large as the loss
    has_bfloat16 = "torch.cuda.is_available() and torch.cuda.is_bf16_supported()"
    return {
        "seed": repr(source.seed),
        "n_steps": repr(source.n_steps),
        "batch_size": repr(train.batch_size),
        "accumulate": repr(train.accumulate),
        "optimizer": literal(train.optimizer),
        "optimizer_call": _OPTIMIZERS[train.optimizer].format(lr=lr, weight_decay=train.weight_decay),
        "lr": repr(lr),
        "projector_lr": repr(rounded(lr * train.projector_lr)),
        "weight_decay": repr(train.weight_decay),
        "warmup": repr(train.warmup),
        "schedule": literal(train.schedule),
        "max_grad_norm": repr(train.max_grad_norm),
        "bfloat16": has_bfloat16 if train.precision == "auto" else repr(train.precision == "bfloat16"),
        "loss_divisor": repr(rounded(1 - share) if follows_size else 1.0),
    }


def _task_fields(source: ExportSource, path: Path) -> dict[str, str]:
    settings = source.settings.seen_from(path.parent)
    stated = {key: value for key, value in asdict(source.outputs).items() if value != getattr(CLASS_SCORES, key)}
    outputs = {key: value for key, value in ({"kind": source.outputs.kind} | stated).items() if key != "why"}
    return {
        "file": docstring_line(path.name),
        "task": literal(settings.task),
        "options": laid_out(settings.options, 0, len("OPTIONS: dict[str, Any] = ")),
        "outputs": laid_out(outputs, 0, len("OUTPUTS: dict[str, Any] = ")),
    }
