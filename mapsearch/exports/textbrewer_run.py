"""A TextBrewer export, run: the loss that its `GeneralDistiller` computes, as an `AttachedLoss`."""

from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mapsearch.core.space import RecipeSpace
from mapsearch.exports.attached import AttachedLoss
from mapsearch.exports.pasted import executed
from mapsearch.exports.textbrewer_adaptor import adaptor_path


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The loss that a `GeneralDistiller` computes from both files."""
    from textbrewer import DistillationConfig, GeneralDistiller, TrainingConfig

    names = executed(adaptor_path(path))
    config = DistillationConfig.from_json_file(str(path))
    adaptors = [
        names["Adaptor"](network, model, names[f"{network.upper()}_LAYERS"], lambda batch, outputs: outputs)
        for network, model in (("teacher", teacher), ("student", student))
    ]
    training = TrainingConfig(device="cpu", output_dir=str(path.parent))  # makes the folder if there is none
    distiller = GeneralDistiller(training, config, teacher, student, *adaptors)
    return AttachedDistiller(distiller, names["Fade"](distiller, 1))


class AttachedDistiller(nn.Module):
    """A `GeneralDistiller` as an `AttachedLoss`; the constant by which its `ce` exceeds our `kl` is taken off."""

    def __init__(self, distiller: Any, fading: Any) -> None:
        super().__init__()
        self.distiller, self.fading = distiller, fading
        self.projections = nn.ModuleList(x for x in distiller.projs if x is not None)

    def forward(
        self,
        task_loss: Tensor,
        student_logits: Tensor,
        teacher_logits: Tensor | None,
        mask: Tensor | None = None,
        progress: float = 0.0,
    ) -> Tensor:
        """What `train_on_batch` gives once both networks ran."""
        self.fading.set(progress)
        masks = {} if mask is None else {"inputs_mask": mask, "logits_mask": [mask]}
        told = {"logits": [student_logits], "losses": [task_loss], **masks}
        taught = {} if teacher_logits is None else {"logits": [teacher_logits], **masks}
        results = self.distiller.adaptor_S(None, told), self.distiller.adaptor_T(None, taught)
        total: Tensor = self.distiller.compute_loss(*results)[0]
        return total if teacher_logits is None else total - self._constant(teacher_logits, mask)

    def close(self) -> None:
        """Remove the hooks from both networks."""
        for adaptor in (self.distiller.adaptor_S, self.distiller.adaptor_T):
            adaptor.hooks.remove()

    def _constant(self, logits: Tensor, mask: Tensor | None) -> Tensor | float:
        """The weight of `ce` times the entropy of the teacher's softened distributions: no gradient comes from it."""
        config = self.distiller.d_config
        if config.kd_loss_type != "ce":
            return 0.0
        real = logits[mask] if mask is not None and mask.shape == logits.shape[:-1] else logits
        logs = F.log_softmax(real / config.temperature, -1)
        return -float(config.kd_loss_weight) * (logs.exp() * logs).sum(-1).mean()
