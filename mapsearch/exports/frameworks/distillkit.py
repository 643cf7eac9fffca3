"""A DistillKit YAML -> its loss, computed by DistillKit's own functions on a student and a teacher."""

from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import torch
import yaml
from torch import Tensor, nn

from mapsearch.core.errors import TaskError
from mapsearch.core.space import RecipeSpace
from mapsearch.exports.frameworks.attached import AttachedLoss, ExportedBatch
from mapsearch.losses.recipe_loss import RecipeLoss


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The loss of the file on these networks, both of Hugging Face; times the sum of its weights.

    Raises:
        TaskError: a network is not of Hugging Face.
    """
    config = import_module("distillkit.configuration").DistillationRunConfig(**yaml.safe_load(path.read_text("utf-8")))
    return AttachedDistillKit(config, student, teacher)


def remove_biases(loss: RecipeLoss) -> None:
    """Remove the bias of every projector, as DistillKit's have none."""
    for projector in loss.projectors.modules():
        if isinstance(projector, nn.Linear):
            projector.register_parameter("bias", None)


class AttachedDistillKit:
    """DistillKit's loss functions, fed with the hidden states of the networks they are attached to."""

    def __init__(self, config: Any, student: nn.Module, teacher: nn.Module) -> None:
        trainer = import_module("distillkit.trainer")
        self.functions = [(each.weight, trainer.create_loss_func(each)) for each in config.loss_functions]
        networks = {"student": _language_model("student", student), "teacher": _language_model("teacher", teacher)}
        self.hidden_states: dict[str, Any] = {}
        self.hooks, self.mapping = ExitStack(), SimpleNamespace(projections=None)
        for name, network in networks.items():
            self._watch(name, network)
        if config.layer_mapping is not None:
            self.mapping = import_module("distillkit.hsd_mapping").HiddenStateMapping(
                student=networks["student"],
                teacher_hidden_size=networks["teacher"].config.hidden_size,
                layer_mapping=config.layer_mapping,
                force_projection=config.force_hidden_state_projection,
            )
            if self.mapping.projections is not None:
                self.hooks.callback(delattr, networks["student"], "distillation_projections")

    def _watch(self, name: str, network: Any) -> None:
        def keep(module: nn.Module, args: Any, output: Any) -> None:
            self.hidden_states[name] = output.hidden_states

        self.hooks.callback(setattr, network.config, "output_hidden_states", network.config.output_hidden_states)
        network.config.output_hidden_states = True
        self.hooks.callback(network.register_forward_hook(keep).remove)

    def __call__(self, batch: ExportedBatch) -> Tensor:
        """The sum of the weighted functions, which DistillKit divides by the sum of the weights."""
        assert batch.student_outputs is not None
        student = SimpleNamespace(
            loss=batch.task_loss, logits=batch.student_outputs, hidden_states=self.hidden_states["student"]
        )
        signal = import_module("distillkit.signals").DenseSignal(
            generation_temperature=1.0,
            hidden_states=self.hidden_states["teacher"],
            vocab_size=batch.student_outputs.shape[-1],
            logits=batch.teacher_outputs,
        )
        terms = [
            weight * function(student, signal, mask=batch.mask, hidden_state_mapping=self.mapping)
            for weight, function in self.functions
        ]
        return torch.stack(terms).sum()

    def parameters(self) -> Iterator[nn.Parameter]:
        """Those of the projections, pair by pair."""
        projections: nn.ModuleList | None = self.mapping.projections
        return iter(()) if projections is None else projections.parameters()

    def to(self, device: torch.device) -> Self:
        """The loss with its projections on the device."""
        if self.mapping.projections is not None:
            self.mapping.projections.to(device)
        return self

    def close(self) -> None:
        """Remove hooks and projections from both networks."""
        self.hooks.close()


def _language_model(network: str, model: nn.Module) -> Any:
    """The Hugging Face network within the model."""
    for module in model.modules():
        if hasattr(getattr(module, "config", None), "hidden_size"):
            return module
    raise TaskError(f"the {network} must be a Hugging Face network, but is a {type(model).__name__}")
