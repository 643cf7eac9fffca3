"""The constants at the head of an exported Python file."""

from collections.abc import Iterator

from mapsearch.core.recipe import Recipe
from mapsearch.exports.layout import laid_out
from mapsearch.exports.pasted import term_arguments
from mapsearch.exports.source import ExportSource, multipliers


def multiplier_lines(recipe: Recipe) -> Iterator[str]:
    """What the task loss and the logit loss are multiplied with, and the temperature."""
    rest = 1 - recipe.feature_share
    yield f"TASK_MULTIPLIER = {rest * recipe.task_weight!r}"
    if recipe.uses_logits:
        yield f"LOGIT_MULTIPLIER = {rest * recipe.logit_weight!r}"
        yield f"TEMPERATURE = {recipe.temperature!r}"


def anneal_line(recipe: Recipe) -> str:
    """How long the features teach."""
    return f"ANNEAL = {recipe.anneal!r}  # fraction of the training after which the feature part is zero; None: never"


def term_lines(source: ExportSource, factor: str = "multiplier", divisor: float = 1.0) -> Iterator[str]:
    """The feature terms, each by its layers, its factor over `divisor`, and the arguments of its class."""
    yield f"# student layer, teacher layers, {factor}, and the arguments of the term"
    yield "TERMS: list[tuple[str, list[str], float, dict[str, Any]]] = ["
    for term, value, arguments in zip(
        source.recipe.feature_terms, multipliers(source.recipe, source.scales), term_arguments(source), strict=True
    ):
        yield f"    {laid_out((term.student, list(term.teachers), value / divisor, arguments), 4)},"
    yield "]"
