"""Which student layers start from the weights of a teacher layer: pruned, truncated and half-depth students do."""

from collections.abc import Sequence

from torch import Tensor, nn

from mapsearch.check.finding_log import FindingLog
from mapsearch.core.space import RecipeSpace
from mapsearch.features.addresses import find_layers
from mapsearch.features.modules import unwrapped
from mapsearch.tasks.loaded_task import LoadedTask


def check_copied(log: FindingLog, loaded: LoadedTask, student: nn.Module, space: RecipeSpace) -> None:
    """Say which student layers start from a teacher layer's weights."""
    copied = copied_layers(student, loaded.teacher, space)
    log.measured["copied"] = copied
    if copied:
        pairs = ", ".join(f"`{student}` <- `{teacher}`" for student, teacher in copied.items())
        log.add(
            "ok", "layers.copied", f"{len(copied)} student layers start from the weights of a teacher layer: {pairs}"
        )


def copied_layers(student: nn.Module, teacher: nn.Module, space: RecipeSpace) -> dict[str, str]:
    """The teacher layer of each student layer whose parameters all equal its own, by path.

    Of several, such as the calls of a shared module, the one at the nearest relative depth. A layer without
    parameters, or with constant ones alone (a fresh norm), is copied from nowhere.
    """
    own, others = _parameters(student, space.student_layers), _parameters(teacher, space.teacher_layers)
    found = {}
    for s, (path, weights) in enumerate(own.items()):
        equal = [t for t, other in enumerate(others.values()) if _is_telling(weights) and _are_equal(weights, other)]
        if equal:
            depth = s / max(1, len(own) - 1)
            nearest = min(equal, key=lambda t: abs(t / max(1, len(others) - 1) - depth))
            found[path] = space.teacher_layers[nearest]
    return found


def _parameters(model: nn.Module, paths: Sequence[str]) -> dict[str, list[Tensor]]:
    """The parameters of the module behind each layer, in their order."""
    modules = find_layers(model, paths)
    return {path: [p.detach() for p in unwrapped(modules[path][1]).parameters()] for path in paths}


def _is_telling(weights: Sequence[Tensor]) -> bool:
    return any(bool((weight != weight.flatten()[0]).any()) for weight in weights if weight.numel())


def _are_equal(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    """Whether all values are equal, whatever their precision: a copy of a bfloat16 weight is exact in float32."""
    same_shapes = [weight.shape for weight in one] == [weight.shape for weight in other]
    return same_shapes and all(bool((a == b.to(a.device)).all()) for a, b in zip(one, other, strict=True))
