"""Which pairs and recipes are legal, and why the others are not: decided here only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mapsearch.core.errors import did_you_mean
from mapsearch.core.layers import Layer
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.recipe import FeatureLossName, ProjectorName, Recipe

MOST_LEADING = 8
"""Class and register tokens before the patches: usual are a class token, a distillation token, four registers."""


@dataclass(frozen=True)
class RecipeSpace:
    """Recipes between these `S` student and `T` teacher layers, both in order of the forward pass."""

    student: tuple[Layer, ...]
    teacher: tuple[Layer, ...]

    @property
    def student_layers(self) -> tuple[str, ...]:
        """Paths of the student layers, `[S]`."""
        return tuple(layer.path for layer in self.student)

    @property
    def teacher_layers(self) -> tuple[str, ...]:
        """Paths of the teacher layers, `[T]`."""
        return tuple(layer.path for layer in self.teacher)

    def legal(self, loss: FeatureLossName, projector: ProjectorName) -> list[list[bool]]:
        """Which pairs may be matched by that loss, `[S, T]`."""
        return [[not pair_problem(s, t, loss, projector) for t in self.teacher] for s in self.student]

    def fusable(self) -> list[list[bool]]:
        """Which teacher layers may be mixed with which, `[T, T]`."""
        return [[not fuse_problem((one, other)) for other in self.teacher] for one in self.teacher]

    def problems(self, recipe: Recipe) -> list[str]:
        """Why the recipe cannot be distilled here; empty when it can."""
        students = {layer.path: layer for layer in self.student}
        teachers = {layer.path: layer for layer in self.teacher}
        problems = []
        for pair in recipe.mapping.pairs:
            missing = [
                f"{network} has no layer `{name}` in this study{did_you_mean(name, list(layers))}"
                for network, name, layers in (("student", pair.student, students), ("teacher", pair.teacher, teachers))
                if name not in layers
            ]
            problems += missing
            if not missing:
                why = pair_problem(students[pair.student], teachers[pair.teacher], recipe.loss, recipe.projector)
                problems += [f"pair `{pair.student} <- {pair.teacher}`: {why}"] if why else []
        for term in recipe.feature_terms:
            why = fuse_problem([teachers[path] for path in term.teachers if path in teachers])
            problems += [f"row `{term.name}`: {why}"] if why else []
        return problems


def pair_problem(student: Layer, teacher: Layer, loss: FeatureLossName, projector: ProjectorName) -> str:
    """Why the pair cannot be matched, or the empty string.

    Losses between samples take any two layers. All others need the same positions: vectors meet
    vectors, tokens meet tokens of the same length and sequence (the same tokens), maps meet maps with as many spatial
    axes (both are resampled to the smaller grid), and the patch tokens of a vision transformer meet maps and
    the patches of another one, whatever class and register tokens each has before them.
    """
    for layer in (student, teacher):
        if layer.problem:
            return layer.problem
    traits = LOSS_TRAITS[loss]
    shapes = f"student {student.kind} {list(student.shape)}, teacher {teacher.kind} {list(teacher.shape)}"
    are_patches = student.patches and teacher.patches and traits.compares != "tokens"
    if student.kind == teacher.kind == "tokens" and student.positions != teacher.positions and not are_patches:
        return f"the sequence lengths differ ({shapes}); only the same tokens can be matched"
    if student.sequence != teacher.sequence and not are_patches:
        return f"they are of two sequences, with a mask each ({shapes}); only the same tokens can be matched"
    if traits.aligned and (why := _position_problem(student, teacher, shapes)):
        return why
    if traits.compares == "tokens" and not student.kind == teacher.kind == "tokens":
        return f"{loss} needs tokens on both sides ({shapes}); use nmse or gram"
    if traits.compares in ("positions", "tokens") and math.prod(student.positions) < 2:
        return f"{loss} needs maps or tokens with at least two positions ({shapes}); use nmse, cosine or gram"
    if traits.projected and projector == "none" and student.width != teacher.width:
        return f"without a projector the widths must be equal ({shapes}); use the linear projector"
    return ""


def _position_problem(student: Layer, teacher: Layer, shapes: str) -> str:
    if {student.kind, teacher.kind} == {"tokens", "map"}:
        tokens, grid = (student, teacher) if student.kind == "tokens" else (teacher, student)
        if len(grid.positions) != 2:
            return f"tokens can only be matched with maps of two spatial axes ({shapes}); use gram, pkt or cka"
        if patch_grid(tokens, grid) is None:
            return (
                f"{tokens.positions[0]} tokens do not form a grid of patches with the proportions of the map after "
                f"at most {MOST_LEADING} class and register tokens ({shapes}); use gram, pkt or cka"
            )
        return ""
    if student.kind != teacher.kind:
        return (
            f"a {student.kind} cannot be matched with a {teacher.kind} position by position ({shapes}); "
            "choose layers of one kind, or a loss between samples: gram, pkt, cka"
        )
    if len(student.positions) != len(teacher.positions):
        return f"the number of spatial axes differs ({shapes}); choose layers with the same axes"
    return ""


def patch_grid(tokens: Layer, grid: Layer) -> tuple[int, int] | None:
    """Height and width of the patches beside a map, or None if the tokens form no grid of its proportions."""
    return patches_of(tokens.positions[0], *grid.positions)


def patches_of(n_tokens: int, height: int, width: int) -> tuple[int, int] | None:
    """Height and width of the patches among a vision transformer's tokens, or None if they form no grid.

    The grid has the given proportions and is as large as the tokens allow; the tokens before it are
    class and register tokens: beside a 7 x 7 map, 197 tokens are one and 14 x 14 patches, 201 are five
    and 14 x 14. More than `MOST_LEADING` of them, or half as many as patches, are not believed.
    """
    unit = math.gcd(height, width)
    height, width = height // unit, width // unit
    scale = math.isqrt(n_tokens // (height * width))
    n_patches = scale * scale * height * width
    n_leading = n_tokens - n_patches
    if n_leading > MOST_LEADING or 2 * n_leading >= n_patches:
        return None
    return scale * height, scale * width


def fuse_problem(teachers: Sequence[Layer]) -> str:
    """Why the features of these teacher layers cannot be mixed into one, or the empty string.

    They must be of one kind and width. Maps may differ in size (the mixture has the smallest grid),
    tokens must be the same tokens.
    """
    for layer in teachers[1:]:
        first = teachers[0]
        same_axes = len(layer.positions) == len(first.positions)
        same_tokens = (layer.positions, layer.sequence) == (first.positions, first.sequence)
        same_places = same_axes and (layer.kind == "map" or same_tokens)
        if (layer.kind, layer.width) != (first.kind, first.width) or not same_places:
            shapes = ", ".join(f"`{x.path}` {x.kind} {list(x.shape)}" for x in (first, layer))
            return (
                f"features that are mixed must share kind, width and tokens, but got {shapes}; "
                "choose teacher layers of one shape, or `aggregation: sum`"
            )
    return ""
