"""What each term of a loss does to the student and to its projector: the detector of losses that do nothing."""

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mapsearch.core.errors import CheckFailed
from mapsearch.losses.recipe_loss import RecipeLoss

INERT_SHARE, DOMINATING_SHARE = 0.001, 0.95
"""Shares of the gradient below and above which a feature term is worth a warning."""


@dataclass(frozen=True)
class TermGradient:
    """Norm of one term's gradient at the student's parameters, and at its projector's (None: it has none)."""

    student: float
    projector: float | None

    def times(self, factor: float) -> "TermGradient":
        """That of the term times a factor >= 0."""
        return TermGradient(self.student * factor, None if self.projector is None else self.projector * factor)


def term_gradients(terms: Mapping[str, Tensor], student: nn.Module, loss: RecipeLoss) -> dict[str, TermGradient]:
    """The gradient of each term on its own, past any gate; the graph is kept for the step that follows."""
    with loss.gate.opened() if loss.gate is not None else nullcontext():
        return _term_gradients(terms, student, loss)


def _term_gradients(terms: Mapping[str, Tensor], student: nn.Module, loss: RecipeLoss) -> dict[str, TermGradient]:
    parameters = [p for p in student.parameters() if p.requires_grad]
    projectors = dict(zip(loss.names, loss.projectors, strict=True))
    gradients_by_term = {}
    for name, term in terms.items():
        own = list(projectors[name].parameters()) if name in projectors else []
        if not term.requires_grad:
            gradients_by_term[name] = TermGradient(0.0, 0.0 if own else None)
            continue
        gradients = torch.autograd.grad(term, [*parameters, *own], retain_graph=True, allow_unused=True)
        split = len(parameters)
        gradients_by_term[name] = TermGradient(_norm(gradients[:split]), _norm(gradients[split:]) if own else None)
    return gradients_by_term


def raw_keys(loss: RecipeLoss) -> dict[str, tuple[object, ...]]:
    """What each raw term depends on beside student and batch: equal keys, equal gradients before the first step."""
    recipe = loss.recipe
    keys: dict[str, tuple[object, ...]] = {"task": (), "outputs": (recipe.output_loss, recipe.temperature)}
    for term in loss.feature_terms:
        settings = (recipe.loss, recipe.projector, recipe.aggregation, loss.norms)
        keys[term.name] = (*settings, term.student, term.teachers, term.parts)
    return keys


def shares(gradients: Mapping[str, TermGradient], loss: RecipeLoss) -> tuple[float, ...]:
    """Each feature term's part of the summed gradient norms of all terms, in the order of `feature_terms`."""
    total = math.fsum(g.student for g in gradients.values())
    return tuple(gradients[name].student / total if total > 0 else 0.0 for name in loss.names)


def dead_terms(gradients: Mapping[str, TermGradient], loss: RecipeLoss) -> list[str]:
    """One line for each feature or logit term that teaches nothing: its gradient is zero or not finite."""
    problems = []
    for name in ("outputs", *loss.names):
        gradient = gradients.get(name)
        if gradient is None:
            continue
        for where, norm in (("the student", gradient.student), ("its projector", gradient.projector)):
            if norm is not None and not (math.isfinite(norm) and norm > 0):
                problems.append(
                    f"term `{name}` must send a finite, non-zero gradient to {where}, but its norm is {norm:g}; "
                    "the feature may be detached, recomputed by checkpointing, constant, or too large"
                )
    return problems


def check_optimizer(loss: nn.Module, optimizer: Optimizer) -> None:
    """Make sure that every projector learns.

    Raises:
        CheckFailed: a parameter of the loss is not in the optimizer.
    """
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [name for name, p in loss.named_parameters() if id(p) not in held]
    if missing:
        raise CheckFailed(
            f"the parameters of the loss must be in the optimizer, but {len(missing)} are not "
            f"(`{missing[0]}` first); pass `[*student.parameters(), *loss.parameters()]`"
        )


def _norm(gradients: tuple[Tensor | None, ...]) -> float:
    squares = [g.double().square().sum() for g in gradients if g is not None]
    return float(torch.stack(squares).sum().sqrt()) if squares else 0.0
