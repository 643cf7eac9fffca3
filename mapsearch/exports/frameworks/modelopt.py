"""The ModelOpt builder, run: ModelOpt itself computes the loss."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path

from torch import Tensor, nn

from mapsearch.core.space import RecipeSpace
from mapsearch.exports.frameworks.attached import AttachedLoss, ExportedBatch
from mapsearch.exports.frameworks.execute import executed


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The student converted by the file."""
    names = executed(path)
    with ExitStack() as stack:
        stack.enter_context(_registered_meanwhile(type(student)))
        model = names["build"](student, teacher)
        stack.callback(names["finish"], model)
        stack.enter_context(model.only_student_forward())

        def total(batch: ExportedBatch) -> Tensor:  # the teacher is run by whoever runs the student
            told = {"student_loss": batch.task_loss, "mask": batch.mask, "progress": batch.progress}
            return model.compute_kd_loss(**told)  # type: ignore[no-any-return]

        return AttachedLoss(model.loss_modules, total, stack.pop_all().close)


@contextmanager
def _registered_meanwhile(network: type[nn.Module]) -> Iterator[None]:
    """Makes ModelOpt forget the student's class afterwards, unless it was registered before.

    It remembers every converted class for the whole process and refuses a third one of the same name and module;
    every load of a task file defines its networks anew.
    """
    registry = import_module("modelopt.torch.distill").DistillationDMRegistry
    was_known = network in registry
    try:
        yield
    finally:
        if network in registry and not was_known:
            registry.unregister(network)
