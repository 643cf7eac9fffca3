"""What stands between a pair's two features: facts of the layers and the loss, known without torch."""

from typing import Any

from mapsearch.core.layers import Layer
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.recipe import FeatureLossName, ProjectorName
from mapsearch.core.space import patch_grid


def projector_arguments(
    loss: FeatureLossName, projector: ProjectorName, student: Layer, teacher: Layer
) -> dict[str, Any]:
    """The arguments of a `Projector` between two layers by name, without those that have their default value.

    Nothing is learned that the loss has no use for.
    """
    traits = LOSS_TRAITS[loss]
    kinds = student.kind or "vector", teacher.kind or "vector"
    arguments: dict[str, Any] = {
        "student_kind": kinds[0],
        "teacher_kind": kinds[1],
        "student_width": student.width,
        "teacher_width": teacher.width,
    }
    if traits.projected and projector != "none":
        arguments["projection"] = projector
    if not traits.aligned:
        arguments["aligned"] = False
    if traits.aligned:
        arguments |= _grids(student, teacher)
    if traits.learns_variance:
        arguments["learns_variance"] = True
    return arguments


def _grids(student: Layer, teacher: Layer) -> dict[str, Any]:
    """The grids on which patch tokens are laid out, beside a map or beside other patches."""
    if (student.kind, teacher.kind) == ("tokens", "map"):
        return {"student_grid": patch_grid(student, teacher)}
    if (student.kind, teacher.kind) == ("map", "tokens"):
        return {"teacher_grid": patch_grid(teacher, student)}
    if student.kind == "tokens" and student.positions != teacher.positions:
        return {"student_grid": student.patches, "teacher_grid": teacher.patches}
    return {}
