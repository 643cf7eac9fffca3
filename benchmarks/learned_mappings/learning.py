"""One full training in which a mapping is learned."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.learned_mappings.learners import Attention, Learner, Step, ValidationGradient
from benchmarks.tables.analysis import Floats
from benchmarks.tables.training import OpenPair
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.training.calibration import calibrate
from mapsearch.training.step import prepare_step
from mapsearch.training.student import StudentTraining, open_student
from mapsearch.training.teacher_batches import TeacherBatch, teacher_batches


def learned(opened: OpenPair, recipe: Recipe, seed: int, name: str) -> Floats:
    """The weights `[S, T]` that one full training at the settings of a recipe learns; rows sum to one."""
    loaded, train, space = opened.loaded.drawn(seed), opened.spec.train, opened.space
    legal = torch.tensor(space.legal(recipe.loss, recipe.projector))
    every = LayerMapping.from_matrix(legal.double().tolist(), space.student_layers, space.teacher_layers)
    plan = RunPlan(0, replace(recipe, mapping=every), 0, seed, "search", "valid", train.steps)
    training, found = open_student(loaded, space, train, plan, torch.contiguous_format), list[Tensor]()
    learner = (
        Attention(legal, train.batch_size)
        if name == "attention"
        else ValidationGradient(legal, _validation_losses(loaded, training, train.batch_size))
    )
    with ExitStack() as stack:
        list(calibrate(loaded, train, [training], None, stack))
        batches = stack.enter_context(closing(teacher_batches(loaded, train, [plan], None, train.steps)))
        for number, (batch,) in enumerate(batches):
            prepare_step(train, training, number)
            found.append(_learning_step(opened, loaded, training, batch, learner, number / train.steps))
    return np.asarray(torch.stack(found[len(found) // 2 :]).mean(0).double().numpy())


def _learning_step(
    opened: OpenPair, loaded: LoadedTask, training: StudentTraining, batch: TeacherBatch, learner: Learner,
    progress: float,
) -> Tensor:  # fmt: skip
    """A step of the student and of the learner; the weights that it used."""
    space, loss = opened.space, training.loss
    training.taps.forget()
    output = loaded.task.forward(training.student, batch.batch)
    task = loaded.task.loss(output, batch.batch) if loss.recipe.uses_task else None
    features = training.taps.take()
    raw = loss.raw_terms(
        task, matched_outputs(loaded.task, output), batch.outputs, features, batch.features, batch.mask, progress
    )
    terms, pairs = loss.weighted(raw, progress), loss.recipe.mapping.pairs
    losses = torch.zeros(len(space.student_layers), len(space.teacher_layers))
    for pair, name in zip(pairs, loss.names, strict=True):
        at = space.student_layers.index(pair.student), space.teacher_layers.index(pair.teacher)
        losses[at] = terms.pop(name) / pair.weight
    student = {layer: features[layer] for layer in space.student_layers}
    teacher = {layer: batch.features[layer] for layer in space.teacher_layers}
    step = Step(student, teacher, losses, [*training.student.parameters()])
    weights = learner.weights(step)
    total = sum(terms.values()) + (weights * losses).sum() / len(weights)
    total.backward(retain_graph=True)
    learner.learn(step)
    training.optimizer.step()
    training.optimizer.zero_grad()
    return weights.detach()


def _validation_losses(loaded: LoadedTask, training: StudentTraining, size: int) -> Iterator[Tensor]:
    """The task's loss of the student as it stands, on one batch after the other."""
    epoch = 0
    while True:
        for batch in ordered_batches(loaded, loaded.valid, size, seed=epoch):
            loss = loaded.task.loss(loaded.task.forward(training.student, batch), batch)
            assert loss is not None, "every pair here has labels"
            yield loss
        epoch += 1
