"""Checks that losses work: zero between equal networks, a gradient for everything that must learn."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.check.finding_log import FindingLog
from mapsearch.check.steps import open_steps
from mapsearch.core.errors import TaskError
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.masks import mask_for
from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.features.rows import RowRule, to_rows
from mapsearch.features.taps import FeatureTaps
from mapsearch.losses.gradients import dead_terms, term_gradients
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.measures.table import open_sums
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.precision import forward_in

SELF_TEST_TOLERANCE = 1e-6
SELF_TEST_SAMPLES = 8
"""Fewest samples of the self-test: an unbiased similarity needs a few."""


def check_gradients(
    log: FindingLog, loaded: LoadedTask, spec: StudySpec, space: RecipeSpace, recipe: Recipe, batch: Any,
    overwritten: tuple[str, ...],
) -> None:  # fmt: skip
    """Whether every term of the recipe's loss reaches the student and its projector."""
    with open_steps(loaded, spec, space, recipe, batch, overwritten) as steps:
        terms = steps.terms()
        if "task" in terms:
            _require_scalar(terms["task"])
        loss = steps.training.loss
        gradients = term_gradients(terms, steps.training.student, loss)
        untaught = _untaught(steps.training.student, steps.terms())
    dead = dead_terms(gradients, loss)
    for problem in dead:
        log.add("error", "gradients.dead_term", f"{recipe.loss}: {problem}")
    if "task" in gradients and not gradients["task"].student > 0:
        problem = "term `task` sends no gradient to the student on this batch: is all of it unlabelled?"
        log.add("warning", "gradients.no_task_gradient", problem)
    if untaught and all(finding.code != "gradients.untaught" for finding in log.findings):  # each loss says the same
        names = ", ".join(f"`{name}`" for name in untaught[:3]) + (" ..." if len(untaught) > 3 else "")
        problem = f"no term of the loss reaches {len(untaught)} trainable parameters of the student: {names}"
        way_out = "teach them in `loss(output, batch)`, freeze them, or leave them out"
        log.add("warning", "gradients.untaught", f"{problem}; {way_out}")
    if not dead:
        reach = "reach the student and their projectors"
        log.add("ok", "gradients.alive", f"{recipe.loss}: outputs and {len(loss.names)} feature terms {reach}")


def _untaught(student: nn.Module, terms: Mapping[str, Tensor]) -> list[str]:
    """Names of trainable parameters that the loss does not depend on."""
    named = [(name, parameter) for name, parameter in student.named_parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(
        torch.stack([*terms.values()]).sum(), [parameter for _, parameter in named], allow_unused=True
    )
    return [name for (name, _), gradient in zip(named, gradients, strict=True) if gradient is None]


def _require_scalar(task: Tensor) -> None:
    if task.ndim or not math.isfinite(float(task.detach())):
        given = f"shape {list(task.shape)}" if task.ndim else f"{float(task.detach())}"
        raise TaskError(f"`loss(output, batch)` must return one finite number as a tensor, but got {given}")


def check_itself(log: FindingLog, loaded: LoadedTask, spec: StudySpec, layers: tuple[Layer, ...]) -> None:
    """The teacher against itself: every loss must be zero and every similarity one."""
    size = max(SELF_TEST_SAMPLES, spec.train.batch_size)
    batch, paths = next(ordered_batches(loaded, loaded.train, size, size)), [layer.path for layer in layers]
    passes, forward = [], forward_in(spec.train.precision, loaded)
    with torch.no_grad(), FeatureTaps(loaded.teacher, paths, paths) as taps:
        for _ in range(2):
            forward(loaded.teacher, batch)
            passes.append(taps.take())
    mask, mapping = loaded.task.mask(batch), LayerMapping(tuple(Pair(path, path, 1.0) for path in paths))
    for name in ("nmse", "cosine"):
        loss = RecipeLoss(Recipe(mapping, name, "none", feature_share=1.0), layers, layers).to(loaded.device)
        values = dict(zip(loss.names, loss.feature_losses(passes[0], passes[1], mask).tolist(), strict=True))
        _write_itself(
            log, name, {pair: value for pair, value in values.items() if not abs(value) <= SELF_TEST_TOLERANCE}
        )
    row_rule, masks = RowRule(), [mask_for(mask, layer.path) for layer in layers]
    rows = [
        [to_rows(found[layer.path], layer.kind, row_rule, own).rows for layer, own in zip(layers, masks, strict=True)]
        for found in passes
    ]
    same = _similarity(rows)
    constant = [p for p, value in zip(paths, same.diag().tolist(), strict=True) if abs(value - 1) > SELF_TEST_TOLERANCE]
    if constant:
        rule = f"similarity of `{constant[0]}` with itself must be 1"
        cause = "its output is the same for every sample, or differs between two passes"
        log.add("error", "self-test.constant_layer", f"{rule}: {cause}; leave it out of `layers.teacher`")


def _similarity(passes: list[list[Tensor]]) -> Tensor:
    """In float64 and on the CPU, where no setting of the user's rounds the inputs of products, as TF32 does."""
    sums = open_sums("cka", len(passes[0]), len(passes[1]), dtype=torch.float64)
    counted = False
    while not counted:
        student, teacher = (
            [sums.reduce(network, i, rows.cpu().double()) for i, rows in enumerate(features)]
            for network, features in enumerate(passes)
        )
        counted = sums.add(student, teacher)
    return sums.estimate().values


def _write_itself(log: FindingLog, name: str, wrong: dict[str, float]) -> None:
    if not wrong:
        log.add("ok", "self-test.zero_loss", f"teacher against itself: {name} is zero for every layer")
        return
    pair, value = max(wrong.items(), key=lambda item: item[1])
    if name == "nmse":
        problem = f"must be zero, but is {value:.3g} for `{pair}`: two passes of the teacher differ"
        log.add("error", "self-test.random_teacher", f"teacher against itself: {name} {problem}; make it deterministic")
    else:  # the cosine of a zero vector is zero
        problem = f"stays at {value:.3g} even for an identical student: that share of its positions is all zero"
        log.add("warning", "self-test.zero_positions", f"{name} of `{pair}` {problem}")
