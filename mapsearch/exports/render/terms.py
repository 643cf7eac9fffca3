"""The feature terms of a recipe as exported files hold them."""

from collections.abc import Iterator
from typing import Any

from mapsearch.core.layers import fused_layer
from mapsearch.core.projectors import projector_arguments
from mapsearch.exports.render.text_layout import laid_out
from mapsearch.exports.source import ExportSource, multipliers


def term_arguments(source: ExportSource) -> list[dict[str, Any]]:
    """The keyword arguments of each term's `FeatureTerm` or `MixedTerm`, as plain data, except its loss."""
    recipe, norms = source.recipe, iter(source.norms)
    s_layers, t_layers = ({layer.path: layer for layer in layers} for layers in (source.student, source.teacher))
    arguments: list[dict[str, Any]] = []
    for term, scale in zip(recipe.feature_terms, source.scales, strict=True):
        teacher = fused_layer([t_layers[path] for path in term.teachers])
        projector = projector_arguments(recipe.loss, recipe.projector, s_layers[term.student], teacher)
        projector = {name: list(value) if isinstance(value, tuple) else value for name, value in projector.items()}
        arguments.append({"projector": projector})
        if recipe.aggregation != "sum":
            mixture = {"kind": projector["teacher_kind"], "parts": list(term.parts)}
            mixture |= {"norms": [next(norms) for _ in term.teachers], "learned": recipe.aggregation == "mix"}
            arguments[-1] |= {"mixture": mixture, "scale": scale}
    return arguments


def term_rows(source: ExportSource) -> Iterator[str]:
    """A line of Python per feature term: its layers, its multiplier, and the arguments of its class."""
    for term, multiplier, arguments in zip(
        source.recipe.feature_terms, multipliers(source.recipe, source.scales), term_arguments(source), strict=True
    ):
        yield f"    {laid_out((term.student, list(term.teachers), multiplier, arguments), 4)},\n"
