"""The feature terms of a recipe as exported files hold them."""

from collections.abc import Iterator

from mapsearch.core.layers import fused_layer
from mapsearch.core.projectors import projector_arguments
from mapsearch.exports.render.text_layout import Call, Name, rounded
from mapsearch.exports.source import ExportSource


def term_calls(source: ExportSource) -> Iterator[Call]:
    """The call that makes each term, a `FeatureTerm` or a `MixedTerm`."""
    recipe, norms = source.recipe, iter(source.norms)
    s_layers, t_layers = ({layer.path: layer for layer in layers} for layers in (source.student, source.teacher))
    for term, scale in zip(recipe.feature_terms, source.scales, strict=True):
        teacher = fused_layer([t_layers[path] for path in term.teachers])
        projector = projector_arguments(recipe.loss, recipe.projector, s_layers[term.student], teacher)
        arguments = {
            "student": term.student,
            "teachers": list(term.teachers),
            "weight": rounded(term.weight),
            "scale": rounded(scale),
            "loss": Name(recipe.loss),
            "projector": Call("Projector", projector),
        }
        if recipe.aggregation == "sum":
            yield Call("FeatureTerm", arguments)
        else:
            mixture = {
                "kind": projector["teacher_kind"],
                "parts": [rounded(part) for part in term.parts],
                "norms": [rounded(next(norms)) for _ in term.teachers],
                "learned": recipe.aggregation == "mix",
            }
            yield Call("MixedTerm", {**arguments, "mixture": Call("Mixture", mixture)})
