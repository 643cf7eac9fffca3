"""The feature share as a share of the gradient: what the features do to the student at the start."""

import math
from collections.abc import Generator
from contextlib import closing, nullcontext

import torch
from torch import Tensor

from mapsearch.core.train_spec import TrainSpec
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.seeding import seed_everything, step_seed
from mapsearch.training.step import loss_terms
from mapsearch.training.student import StudentTraining
from mapsearch.training.teacher_batches import TeacherBatch


def share_gradients(
    loaded: LoadedTask,
    train: TrainSpec,
    training: StudentTraining,
    batches: Generator[tuple[TeacherBatch, ...], None, None],
) -> None:
    """Scale the feature terms so that their gradient stands to that of all other terms as share to 1 - share.

    Norms are taken at the student's trainable parameters over these batches; the student, its buffers and the
    optimizer stay as they were. Nothing is done where nothing but features teaches, or a gradient is zero or not
    finite.
    """
    before = {name: value.clone() for name, value in training.student.state_dict().items()}
    gate = training.loss.gate
    squares = torch.zeros(2, dtype=torch.float64)
    with closing(batches), gate.opened() if gate is not None else nullcontext():
        for step, parts in enumerate(batches):
            seed_everything(step_seed(training.plan.seed, step))
            sums = [_gradients(loaded, train, training, part) for part in parts]
            for i, of_parts in enumerate(zip(*sums, strict=True)):
                squares[i] += float(torch.stack(of_parts).sum(0).square().sum())
    training.student.load_state_dict(before)  # the running statistics of batch norm have moved
    others, features = squares.sqrt().tolist()
    share = training.plan.recipe.feature_share
    if share < 1 and others > 0 and features > 0 and math.isfinite(others + features):
        training.loss.scale_features((features / share) / (others / (1 - share)))


def _gradients(
    loaded: LoadedTask, train: TrainSpec, training: StudentTraining, part: TeacherBatch
) -> tuple[Tensor, Tensor]:
    """The gradient of all terms but features, and that of the features, as one vector each."""
    terms = loss_terms(loaded, train, training, part, progress=0.0)
    names = set(training.loss.names)
    split = [[term for name, term in terms.items() if (name in names) is of_features] for of_features in (False, True)]
    return _gradient(training, split[0], part.share), _gradient(training, split[1], part.share)


def _gradient(training: StudentTraining, terms: list[Tensor], share: float) -> Tensor:
    parameters = [p for p in training.student.parameters() if p.requires_grad]
    learning = [term for term in terms if term.requires_grad]
    if not learning:
        return torch.zeros(1)
    total = torch.stack(learning).sum() * share
    found = torch.autograd.grad(total, parameters, retain_graph=True, allow_unused=True)
    return torch.cat([g.detach().flatten() for g in found if g is not None] or [torch.zeros(1)])
