"""Files that need nothing of ours: the source text of what a recipe uses, with the imports it needs."""

import ast
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Any

from mapsearch.core.layers import fused_layer
from mapsearch.core.projectors import projector_arguments
from mapsearch.core.recipe import Recipe
from mapsearch.exports.feature_terms import FeatureTerm, MixedTerm
from mapsearch.exports.hooked_features import LayerHooks, fade, require_gradient
from mapsearch.exports.source import ExportSource
from mapsearch.features.modules import bare_modules
from mapsearch.features.taps import feature_of
from mapsearch.losses.aggregation import Mixture
from mapsearch.losses.projectors import Projector
from mapsearch.losses.recipe_loss import FEATURE_LOSSES, LOGIT_LOSSES
from mapsearch.losses.views import averaged_to, covering

_STANDARD_IMPORTS = """
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import cos, pi
from typing import Any
"""
TORCH_IMPORTS = """
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.hooks import RemovableHandle
"""

Part = Callable[..., Any]
"""A function or class whose source text is pasted."""


def pasted(template: Path, fields: Mapping[str, str], parts: Iterable[Part], imports: str = TORCH_IMPORTS) -> str:
    """The template's text with its fields, the source of the parts as `$parts`, and as `$imports` what all that uses.

    Args:
        parts: callers before what they call; each is pasted once.
        imports: what `$imports` may draw on beside the standard library.
    """
    shape = Template(template.read_text(encoding="utf-8"))
    told = {**fields, "parts": "".join(f"\n\n{inspect.getsource(part)}" for part in dict.fromkeys(parts))}
    tree = ast.parse(shape.substitute(told, imports=""))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    blocks = (_imports(block, names) for block in (_STANDARD_IMPORTS, imports))
    text = shape.substitute(told, imports="\n\n".join(block for block in blocks if block))
    return text.rstrip() + "\n"


def executed(path: Path) -> dict[str, Any]:
    """The names that a written Python file defines; an import would leave a `__pycache__` beside it."""
    namespace: dict[str, Any] = {"__name__": path.stem}
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), namespace)
    return namespace


def module_name(path: Path) -> str:
    """The stem of a file as a name that can be imported."""
    name = re.sub(r"\W", "_", path.stem)
    return name if name.isidentifier() else f"_{name}"  # it begins with a digit


def loss_parts(recipe: Recipe) -> list[Part]:
    """The losses of the recipe and all they call."""
    parts = with_helpers(FEATURE_LOSSES[recipe.loss]) if recipe.mapping.pairs else []
    return parts + (with_helpers(LOGIT_LOSSES[recipe.logit_loss]) if recipe.uses_logits else [])


def term_parts(recipe: Recipe) -> list[Part]:
    """What a file needs that captures features itself and has its terms one by one; callers before what they call."""
    parts: list[Part] = []
    if recipe.mapping.pairs:
        parts += [FeatureTerm] if recipe.aggregation == "sum" else [MixedTerm, Mixture, covering]
        parts += [
            LayerHooks,
            require_gradient,
            fade,
            Projector,
            averaged_to,
            *with_helpers(bare_modules),
            *with_helpers(feature_of),
        ]
    return parts + loss_parts(recipe)


def term_arguments(source: ExportSource) -> list[dict[str, Any]]:
    """The keyword arguments of each term's `FeatureTerm` or `MixedTerm`, as plain data, but for its loss."""
    recipe, norms = source.recipe, list(source.norms)
    names = list(inspect.signature(Projector).parameters)
    arguments: list[dict[str, Any]] = []
    for term, scale, shape in zip(recipe.feature_terms, source.scales, projector_shapes(source), strict=True):
        projector = {name: list(x) if isinstance(x, tuple) else x for name, x in zip(names, shape, strict=False)}
        arguments.append({"projector": projector})
        if recipe.aggregation != "sum":
            own = [norms.pop(0) for _ in term.teachers]
            mixture = {"kind": projector["teacher_kind"], "parts": list(term.parts), "norms": own}
            arguments[-1] |= {"mixture": {**mixture, "learned": recipe.aggregation == "mix"}, "scale": scale}
    return arguments


def projector_shapes(source: ExportSource) -> list[tuple[Any, ...]]:
    """The arguments of each term's `Projector`."""
    recipe = source.recipe
    s_layers, t_layers = ({layer.path: layer for layer in layers} for layers in (source.student, source.teacher))
    return [
        _positional(
            projector_arguments(
                recipe.loss, recipe.projector, s_layers[term.student], fused_layer([t_layers[x] for x in term.teachers])
            )
        )
        for term in recipe.feature_terms
    ]


def _positional(arguments: dict[str, Any]) -> tuple[Any, ...]:
    """The arguments of a `Projector` by position, up to the last that is given."""
    parameters = inspect.signature(Projector).parameters
    n_given = max(i for i, name in enumerate(parameters) if name in arguments) + 1
    return tuple(arguments.get(name, parameter.default) for name, parameter in parameters.items())[:n_given]


def with_helpers(function: Part) -> list[Part]:
    """The function and those of ours that it calls by a plain name, also from within a comprehension."""
    found = [function]
    for caller in found:  # grows while it is walked
        names = dict.fromkeys(x.id for x in ast.walk(ast.parse(inspect.getsource(caller))) if isinstance(x, ast.Name))
        called = [caller.__globals__[name] for name in names if name in caller.__globals__]
        found += [x for x in called if inspect.isfunction(x) and _is_ours(x) and x not in found]
    return found


def _is_ours(function: Callable[..., Any]) -> bool:
    return function.__module__.partition(".")[0] == __name__.partition(".")[0]


def _imports(block: str, names: set[str]) -> str:
    """Those imports of the block that bind one of the names."""
    lines = []
    for node in ast.parse(block).body:
        assert isinstance(node, (ast.Import, ast.ImportFrom))
        node.names = [alias for alias in node.names if (alias.asname or alias.name) in names]
        lines += [ast.unparse(node)] if node.names else []
    return "\n".join(lines)
