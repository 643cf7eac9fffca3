"""A written torchdistill config, run by torchdistill's own distillation box."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mapsearch.core.errors import FrameworkMissing
from mapsearch.core.space import RecipeSpace
from mapsearch.exports.frameworks.attached import AttachedLoss, ExportedBatch
from mapsearch.exports.frameworks.execute import executed


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The box that torchdistill builds from the config, without its data.

    Raises:
        FrameworkMissing: torchdistill is installed but cannot be imported.
    """
    try:
        from torchdistill.common.main_util import import_dependencies
        from torchdistill.common.yaml_util import load_yaml_file
        from torchdistill.core.distillation import DistillationBox
    except (ImportError, RuntimeError, AttributeError) as error:
        raise FrameworkMissing(
            f"torchdistill cannot be imported here: {' '.join(str(error).split())}; as a rule torchvision is for "
            "another kind of torch: install both for CPUs, or both for one version of CUDA"
        ) from None

    config = load_yaml_file(str(path))
    for dependency in config["dependencies"]:
        plugin = path.with_name(f"{dependency['name']}.py")
        executed(plugin) if plugin.exists() else import_dependencies([dependency])
    device = next(student.parameters()).device
    return _attached(DistillationBox(teacher, student, {}, config["train"], device, None, False, 1.0))


def _attached(box: Any) -> AttachedLoss:
    """A box as an `AttachedLoss`: both networks have run already, and it receives their outputs."""
    student, extract = box.student_model, box.extract_model_loss

    def total(batch: ExportedBatch) -> Tensor:
        box.student_forward_proc = lambda *args: batch.student_outputs
        box.teacher_forward_proc = lambda *args: batch.teacher_outputs
        box.extract_model_loss = lambda *args, **kwargs: {"task": batch.task_loss}
        student.mask = batch.mask
        student.n_done.fill_(batch.progress * batch.n_batches)
        return box.forward_process(None, None)  # type: ignore[no-any-return]

    def own_task_loss(output: Any, batch: Any) -> Tensor:
        labels = batch["labels"] if isinstance(batch, Mapping) else batch[1]
        return torch.stack([*extract(output, labels, supp_dict=None).values()]).sum()

    def close() -> None:
        for wrapper in (student, box.teacher_model):
            if hasattr(wrapper, "hooks"):
                wrapper.hooks.remove()

    return AttachedLoss(student.matching, total, close, own_task_loss)
