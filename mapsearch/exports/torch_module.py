"""Target `torch`: one readable PyTorch file that needs nothing of ours; its maths is the source text of `losses/`."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from mapsearch.core.recipe import BalanceName, Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.exports.attached import AttachedLoss
from mapsearch.exports.capability import EVERYTHING
from mapsearch.exports.constants import anneal_line, multiplier_lines
from mapsearch.exports.hooked_features import FeatureDistillation, LayerHooks, fade, require_gradient
from mapsearch.exports.layout import docstring_line, literal
from mapsearch.exports.mixed_features import MixedDistillation
from mapsearch.exports.pasted import Part, executed, loss_parts, pasted, projector_shapes, with_helpers
from mapsearch.exports.source import ExportSource, multipliers
from mapsearch.exports.target import Target, one_file
from mapsearch.features.modules import bare_modules
from mapsearch.features.taps import feature_of
from mapsearch.losses.aggregation import Mixture
from mapsearch.losses.projectors import Projector
from mapsearch.losses.recipe_loss import LOGIT_LOSSES
from mapsearch.losses.views import averaged_to, covering


def render(source: ExportSource) -> str:
    """The Python text: constants and a `DistillationLoss`, and of our code just what this recipe uses.

    A learned mixture is written as one: it learns again, as in the confirmed run, whose averaged weights
    stand in the header for those who want them fixed.
    """
    fields = {
        "provenance": "\n".join(docstring_line(line) for line in source.provenance),
        "constants": _constants(source),
        "mask": "mask=mask, " if any(x.kind == "tokens" for x in (*source.student, *source.teacher)) else "",
        **_class_lines(source.recipe),
    }
    return pasted(Path(__file__).with_suffix(".py.tmpl"), fields, _parts(source.recipe))


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The loss of the file, really executed, on these networks; the file knows its layers without the space."""
    loss: AttachedLoss = executed(path)["DistillationLoss"](student, teacher)
    return loss


def _constants(source: ExportSource) -> str:
    recipe = source.recipe
    lines = [*multiplier_lines(recipe)]
    if recipe.mapping.pairs:
        lines += [anneal_line(recipe), *(_pair_lines(source) if recipe.aggregation == "sum" else _row_lines(source))]
    return "\n".join(lines)


def _pair_lines(source: ExportSource) -> list[str]:
    lines = []
    for term, factor, shape in zip(
        source.recipe.feature_terms, multipliers(source.recipe, source.scales), projector_shapes(source), strict=True
    ):
        values = (term.student, term.teachers[0], factor, *shape)
        lines.append(f"    ({', '.join(literal(value) for value in values)}),")
    return [
        "\n# student layer, teacher layer, multiplier, and the arguments of the pair's Projector",
        "PAIRS = [",
        *lines,
        "]",
    ]


def _row_lines(source: ExportSource) -> list[str]:
    lines, norms = [], list(source.norms)
    for term, factor, scale, shape in zip(
        source.recipe.feature_terms, multipliers(source.recipe, source.scales), source.scales, projector_shapes(source),
        strict=True,
    ):  # fmt: skip
        own = tuple(norms.pop(0) for _ in term.teachers)
        row = (term.student, term.teachers, term.parts, own, factor, scale, shape)
        lines += ["    (", *(f"        {literal(value)}," for value in row), "    ),"]
    about = "# student layer; teacher layers, their weights, what each is divided by; multiplier, scale; projector"
    learned = f"LEARNED = {source.recipe.aggregation == 'mix'}  # whether the weights of a row are learned"
    return [learned, f"\n{about}", "ROWS = [", *lines, "]"]


def _class_lines(recipe: Recipe) -> dict[str, str]:
    """The lines of `DistillationLoss` that depend on the recipe."""
    attach, terms, close, formula = "", "", "", "total = TASK_MULTIPLIER * task_loss"
    if recipe.uses_logits:
        value = f"{LOGIT_LOSSES[recipe.logit_loss].__name__}(student_logits, teacher_logits, TEMPERATURE, mask)"
        terms += f"        total = total + LOGIT_MULTIPLIER * {value}\n"
        formula += f" + LOGIT_MULTIPLIER * {LOGIT_LOSSES[recipe.logit_loss].__name__}"
    if recipe.mapping.pairs:
        kind, rows = (
            ("FeatureDistillation", "PAIRS") if recipe.aggregation == "sum" else ("MixedDistillation", "ROWS, LEARNED")
        )
        attach = f"        self.features = {kind}(student, teacher, {rows}, {recipe.loss}, ANNEAL)\n"
        terms += "        total = total + self.features(mask, progress)\n"
        close = "        self.features.close()\n"
        formula += f"\n    + fade * sum multiplier * {recipe.loss}"
    return {"attach": attach, "terms": terms, "close": close, "formula": formula}


def _parts(recipe: Recipe) -> list[Part]:
    """What the recipe uses of our code, callers before what they call."""
    parts: list[Part] = []
    if recipe.mapping.pairs:
        parts += [FeatureDistillation] if recipe.aggregation == "sum" else [MixedDistillation, Mixture, covering]
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


TARGET = Target(
    "a plain PyTorch module for any training loop; it needs nothing but torch",
    replace(EVERYTHING, balances=frozenset[BalanceName]({"frozen"})),
    one_file(render),
    load,
)
