"""All students of a cohort as one stack of tensors: the trainings of the library's engine, many times as fast.

Small students wait for Python to call their kernels. Here the students of many recipes are trained by one call each,
with `torch.func.vmap`. Losses, batches, schedule and evaluation are the library's own; calibration, clipping and AdamW
are written out. The page of the tables holds the results against the engine's, run for run.
"""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from benchmarks.tables.training import OpenPair
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, Split
from mapsearch.features.taps import FeatureTaps
from mapsearch.losses.outputs import kl
from mapsearch.losses.recipe_loss import RecipeLoss
from mapsearch.tasks.evaluation import Evaluator
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.training.calibration import N_CALIBRATION_BATCHES
from mapsearch.training.schedule import lr_factor
from mapsearch.training.teacher_batches import TeacherBatch, teacher_batches

LayerPair = tuple[str, str]
BETAS, EPSILON = (0.9, 0.999), 1e-8
"""AdamW's, as torch has them."""


def stacked_values(opened: OpenPair, recipes: Sequence[Recipe], seed: int, share: float, split: Split) -> list[float]:
    """What `OpenPair.values` gives, for recipes that differ in mapping, shares, weights, temperature and rate alone.

    They have one feature loss without a projector, features that do not fade, and kl of outputs.
    """
    loaded, train = opened.loaded.drawn(seed), opened.spec.train
    n_steps = max(5, round(share * train.steps))
    student = loaded.new_student(seed)
    stack = _Stack(opened, recipes, student)
    plans = [RunPlan(i, r, 0, seed, "search", split, n_steps) for i, r in enumerate(recipes)]

    def batches(n: int) -> Any:
        return (part for (part,) in teacher_batches(loaded, train, plans, None, n))

    stack.calibrate(list(batches(min(N_CALIBRATION_BATCHES, n_steps))))
    for step, batch in enumerate(batches(n_steps)):
        stack.step(batch, step, lr_factor(train, step, n_steps))
    measured = Evaluator(loaded, train).measure(stack.students(), loaded.split(split))
    return [round(opened.sign * metrics[opened.spec.metric], 6) for metrics in measured]


class _Stack:
    """Students, their losses and their optimizer, each tensor with the students as its first axis."""

    def __init__(self, opened: OpenPair, recipes: Sequence[Recipe], student: nn.Module) -> None:
        self.opened, self.recipes, self.student = opened, recipes, student
        parameters, buffers = stack_module_state([student] * len(recipes))
        self.parameters = {name: p.detach().clone().requires_grad_() for name, p in parameters.items()}
        self.buffers = {name: b.clone() for name, b in buffers.items()}
        self.moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in self.parameters.items()}
        self.pairs: list[LayerPair] = sorted({p[:2] for r in recipes for p in r.mapping.pairs})
        with_features = [r for r in recipes if r.mapping.pairs][:1]
        self.losses = {pair: _loss_of(opened, like, pair) for pair in self.pairs for like in with_features}
        self.weights = torch.tensor(
            [[r.feature_share * _weight(r.mapping, pair) for pair in self.pairs] for r in recipes]
        )  # [M, pairs]
        rest = [1 - r.feature_share for r in recipes]
        self.task = torch.tensor([a * r.task_weight for a, r in zip(rest, recipes, strict=True)])
        self.outputs = torch.tensor([a * r.output_weight for a, r in zip(rest, recipes, strict=True)])
        self.temperature = torch.tensor([r.temperature for r in recipes])
        self.rates = opened.spec.train.lr * torch.tensor([r.lr_factor for r in recipes])

    def calibrate(self, batches: Sequence[TeacherBatch]) -> None:
        """Freeze the scale of every pair, and turn shares of the loss into shares of the gradient where asked for."""
        if not self.pairs:
            return
        trainable = [p for p in self.student.parameters() if p.requires_grad]
        before = copy.deepcopy(self.student.state_dict())
        scales, gradients, others = [], [], []
        with FeatureTaps(self.student, self.opened.space.student_layers) as taps:
            for batch in batches:
                task, output, values = self._terms(self.student, batch, taps)
                scales.append(values.detach())
                gradients.append(torch.stack([_flat(value, trainable) for value in values]))
                plain = dict.fromkeys(map(_plain, self.recipes))
                terms = {r: r.task_weight * task + self._taught(output, batch, r) for r in plain}
                others.append({r: _flat(term, trainable) for r, term in terms.items()})
        self.student.load_state_dict(before)
        least = LOSS_TRAITS[self.losses[self.pairs[0]].recipe.loss].min_scale
        self.weights = self.weights / torch.stack(scales).mean(0).clamp(min=least)
        for i, recipe in enumerate(self.recipes):
            if recipe.share_of == "gradient" and recipe.mapping.pairs:
                rest = 1 - recipe.feature_share
                of_features = sum(float((self.weights[i] @ g).square().sum()) for g in gradients) ** 0.5
                of_others = rest * sum(float(g[_plain(recipe)].square().sum()) for g in others) ** 0.5
                self.weights[i] /= (of_features / recipe.feature_share) / (of_others / rest)

    def step(self, batch: TeacherBatch, step: int, rate: float) -> None:
        """One step of AdamW for each student, its gradient clipped on its own."""
        with FeatureTaps(self.student, self.opened.space.student_layers) as taps:

            def total(parameters: Any, buffers: Any, weights: Tensor, *coefficients: Tensor) -> Tensor:
                task, outputs, temperature = coefficients
                found, output, values = self._terms(self.student, batch, taps, (parameters, buffers))
                taught = matched_outputs(self.opened.loaded.task, output)
                assert taught is not None
                assert batch.outputs is not None
                return task * found + outputs * _kl(taught, batch.outputs, temperature) + weights @ values

            losses = vmap(total, randomness="same")(
                self.parameters, self.buffers, self.weights, self.task, self.outputs, self.temperature
            )
        losses.sum().backward()
        self._descend(step, rate)

    @torch.no_grad()
    def _descend(self, step: int, rate: float) -> None:
        train = self.opened.spec.train
        gradients = {name: p.grad for name, p in self.parameters.items() if p.grad is not None}
        norm = torch.stack([g.flatten(1).square().sum(1) for g in gradients.values()]).sum(0).sqrt()
        clip = (train.max_grad_norm / (norm + 1e-6)).clamp(max=1.0)
        for name, gradient in gradients.items():
            p, (mean, square) = self.parameters[name], self.moments[name]
            shape = (-1, *[1] * (p.ndim - 1))
            lr, g = (self.rates * rate).view(shape), gradient * clip.view(shape)
            mean.lerp_(g, 1 - BETAS[0])
            square.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
            bias = [1 - beta ** (step + 1) for beta in BETAS]
            p.mul_(1 - lr * train.weight_decay)
            p.sub_(lr / bias[0] * mean / (square.sqrt() / bias[1] ** 0.5 + EPSILON))
            p.grad = None

    def students(self) -> list[nn.Module]:
        """One module per recipe."""
        found = []
        for i in range(len(self.recipes)):
            student = copy.deepcopy(self.student)
            state = {name: tensor[i].detach() for name, tensor in {**self.parameters, **self.buffers}.items()}
            student.load_state_dict(state)
            found.append(student)
        return found

    def _terms(
        self, student: nn.Module, batch: TeacherBatch, taps: FeatureTaps, state: Any = None
    ) -> tuple[Tensor, Any, Tensor]:
        """The task's loss, the output, and the raw loss of every pair, of one student."""
        task = self.opened.loaded.task
        taps.forget()
        if state is None:
            output = task.forward(student, batch.batch)
        else:
            output = task.forward(_Called(student, state), batch.batch)  # type: ignore[arg-type]
        features = taps.take()
        values = [self.losses[pair].feature_losses(features, batch.features, batch.mask)[0] for pair in self.pairs]
        return task.loss(output, batch.batch), output, torch.stack(values) if values else torch.zeros(0)

    def _taught(self, output: Any, batch: TeacherBatch, recipe: Recipe) -> Tensor | float:
        """What the outputs add to the loss."""
        taught = matched_outputs(self.opened.loaded.task, output)
        if not recipe.uses_outputs or taught is None or batch.outputs is None:
            return 0.0
        return recipe.output_weight * _kl(taught, batch.outputs, recipe.temperature)


class _Called:
    """A module with other weights, for whoever only calls it."""

    def __init__(self, module: nn.Module, state: Any) -> None:
        self._module, self._state = module, state

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return functional_call(self._module, self._state, args, kwargs)


def _loss_of(opened: OpenPair, recipe: Recipe, pair: LayerPair) -> RecipeLoss:
    one = replace(recipe, mapping=LayerMapping([Pair(*pair, 1.0)]))
    return RecipeLoss(one, opened.space.student, opened.space.teacher)


def _weight(mapping: LayerMapping, pair: LayerPair) -> float:
    return next((p.weight for p in (mapping.normalised().pairs if mapping.pairs else ()) if p[:2] == pair), 0.0)


def _plain(recipe: Recipe) -> Recipe:
    """What teaches beside the features."""
    return replace(recipe, mapping=LayerMapping(), feature_share=0.0)


def _kl(student: Tensor, teacher: Tensor, temperature: Any) -> Tensor:
    """The library's own; `vmap` warns that it takes one student after the other."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return kl(student, teacher, temperature)


def _flat(value: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
    pairs = zip(found, parameters, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in pairs])
