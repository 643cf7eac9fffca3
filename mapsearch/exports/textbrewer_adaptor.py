"""The module beside a TextBrewer config: its adaptors, and the losses and projections that the config names."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from mapsearch.core.layers import Layer
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.recipe import Recipe
from mapsearch.exports.hooked_features import LayerHooks, fade, require_gradient
from mapsearch.exports.layout import docstring_line, literal
from mapsearch.exports.pasted import TORCH_IMPORTS, Part, module_name, pasted, projector_shapes, with_helpers
from mapsearch.exports.source import ExportSource
from mapsearch.exports.textbrewer_parts import channels_last, compared, mlp
from mapsearch.features.modules import bare_modules
from mapsearch.features.taps import feature_of
from mapsearch.losses.recipe_loss import FEATURE_LOSSES, LOGIT_LOSSES

MATCH_LOSSES = {"mse": "hidden_mse", "cosine": "cos"}
"""Those of ours that TextBrewer has between tokens."""
KD_LOSSES = {"kl": "ce", "mse": "mse"}
"""Those of ours that TextBrewer has, without temperature^2."""

Entry = tuple[str, str, tuple[int, int] | None]
"""What an index stands for: a layer's path, its kind, and the grid in which its tokens are laid out."""


def adaptor_path(path: Path) -> Path:
    """Where the module of the adaptors lies: beside the config, by a name that can be imported."""
    return path.with_name(f"{module_name(path)}_adaptor.py")


def render_adaptor(source: ExportSource, config: str, module: str) -> str:
    """The text of the module."""
    recipe = source.recipe
    student, teacher = indexed(source)
    constants = [
        "# what `layer_S` and `layer_T` count: path, kind, and the grid in which tokens are laid out",
        *_layer_lines("STUDENT_LAYERS", student),
        *_layer_lines("TEACHER_LAYERS", teacher),
        f"ANNEAL = {recipe.anneal!r}  # fraction of the training after which the feature part is zero; None: never",
    ]
    fields = {
        "provenance": "\n".join(docstring_line(line) for line in source.provenance),
        "config": config,
        "module": module,
        "logits": _about_logits(recipe),
        "constants": "\n".join(constants),
        "registered": "\n".join(_registered(source)),
    }
    template = Path(__file__).with_name("textbrewer_adaptor.py.tmpl")
    return pasted(template, fields, _parts(source), TORCH_IMPORTS + "from textbrewer.presets import register_new\n")


def _layer_lines(name: str, layers: tuple[Entry, ...]) -> list[str]:
    return [f"{name} = [", *(f"    {literal(entry)}," for entry in layers), "]"]


def _about_logits(recipe: Recipe) -> str:
    """How TextBrewer's loss of the logits differs from ours, for the docstring."""
    if not recipe.uses_logits or recipe.logit_loss not in KD_LOSSES:
        return "The total loss is that of the recipe."
    about = "`kd_loss_weight` holds the temperature^2 that TextBrewer leaves out."
    constant = (
        " Its `ce` is the recipe's KL plus the entropy of the teacher's softened distributions: a constant "
        "without gradient, by which the total is larger than the recipe's."
    )
    return fill(about + constant * (recipe.logit_loss == "kl"), 115)


def _parts(source: ExportSource) -> list[Part]:
    """What the recipe uses of our code, callers before what they call."""
    recipe = source.recipe
    parts: list[Part] = [channels_last, LayerHooks, require_gradient, fade]
    parts += [part for function in (bare_modules, feature_of) for part in with_helpers(function)]
    if _has_own_matches(source):
        parts += [compared, *with_helpers(FEATURE_LOSSES[recipe.loss])]
    if is_projected(recipe) and recipe.projector == "mlp":
        parts.append(mlp)
    if recipe.uses_logits and recipe.logit_loss not in KD_LOSSES:
        parts += with_helpers(LOGIT_LOSSES[recipe.logit_loss])
    return parts


def _registered(source: ExportSource) -> Iterator[str]:
    """The lines that make our names known to TextBrewer."""
    recipe = source.recipe
    if _has_own_matches(source):
        loss, aligned = FEATURE_LOSSES[recipe.loss].__name__, LOSS_TRAITS[recipe.loss].aligned
        yield f'register_new("match_Loss", "{own_name(recipe.loss)}", partial(compared, {loss}, {aligned}))'
    if is_projected(recipe) and recipe.projector == "mlp":
        yield f'register_new("projection", "{own_name(recipe.projector)}", mlp)'
    if recipe.uses_logits and recipe.logit_loss not in KD_LOSSES:
        yield f'register_new("kd_loss", "{own_name(recipe.logit_loss)}", {LOGIT_LOSSES[recipe.logit_loss].__name__})'


def entries(source: ExportSource) -> list[tuple[Entry, Entry]]:
    """What each pair matches."""
    found = []
    for term, (s_kind, t_kind, *shape) in zip(source.recipe.feature_terms, projector_shapes(source), strict=True):
        grid = shape[4] if len(shape) > 4 else None
        s, t = (
            (path, kind, grid if kind == "tokens" else None)
            for path, kind in ((term.student, s_kind), (term.teachers[0], t_kind))
        )
        found.append((s, t))
    return found


def indexed(source: ExportSource) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """What the indices of either network stand for."""
    pairs = entries(source)
    return tuple(dict.fromkeys(s for s, _ in pairs)), tuple(dict.fromkeys(t for _, t in pairs))


def own_name(name: str) -> str:
    """What a loss or projection of ours is called in the config; TextBrewer has a `gram` and others of its own."""
    return f"mapsearch_{name}"


def is_native(source: ExportSource, student: Entry, teacher: Entry) -> bool:
    """Whether TextBrewer's own loss gives what ours does: it takes tokens at the same positions."""
    tokens = [kind == "tokens" and grid is None for _, kind, grid in (student, teacher)]
    alike = positions(source.student, student) == positions(source.teacher, teacher)
    return source.recipe.loss in MATCH_LOSSES and all(tokens) and alike


def _has_own_matches(source: ExportSource) -> bool:
    return any(not is_native(source, s, t) for s, t in entries(source))


def is_projected(recipe: Recipe) -> bool:
    """Whether the student's features pass through a projection."""
    return bool(recipe.mapping.pairs) and recipe.projector != "none" and LOSS_TRAITS[recipe.loss].projected


def positions(layers: tuple[Layer, ...], entry: Entry) -> tuple[int, ...]:
    """Sizes of the axes beside the channels, tokens of a grid laid out."""
    path, _, grid = entry
    (layer,) = (layer for layer in layers if layer.path == path)
    return grid or layer.positions
