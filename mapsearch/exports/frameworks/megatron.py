"""A Megatron YAML -> its loss, computed by ModelOpt's Megatron plugin on the features of a student and a teacher."""

import math
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import torch
import yaml
from torch import Tensor, nn

from mapsearch.core.errors import ExportError, did_you_mean
from mapsearch.core.layers import Layer
from mapsearch.core.space import RecipeSpace
from mapsearch.exports.frameworks.attached import AttachedLoss, ExportedBatch
from mapsearch.exports.frameworks.execute import executed
from mapsearch.exports.render.hugging_face import megatron_path
from mapsearch.exports.render.megatron import taps_path
from mapsearch.features.taps import FeatureTaps
from mapsearch.losses.recipe_loss import RecipeLoss

_TERMS = re.compile(
    r"^# loss of the study: (\S+) \* lm_loss \+ (\S+) \* logits_loss \+ (\S+) \* intermediate_loss$", re.MULTILINE
)
_TAP = re.compile(r"\.tap\d+$")


def load(path: Path, space: RecipeSpace, student: nn.Module, teacher: nn.Module) -> AttachedLoss:
    """The losses of the file on these networks, weighted as its header says.

    Megatron's own total rescales all of them to one size at each step, so that its value is meaningless; what
    it logs as `logits_loss` and `intermediate_loss` is not.

    Raises:
        ExportError: the file names a layer the study does not know, or contradicts its header.
    """
    text = path.read_text("utf-8")
    terms, data = _TERMS.search(text), yaml.safe_load(text)
    if terms is None:
        raise ExportError(f"{path}: the line `# loss of the study: ...` is missing; export it again")
    weights = [float(value) for value in terms.groups()]
    data = data.get("model", {}).get("kd_config", data)
    config = import_module("modelopt.torch.distill.plugins.megatron").DistillationConfig(**data)
    _check_balance(path, config, weights)
    pairs = [config.parse_intermediate_entry(entry)[:2] for entry in config.intermediate_layer_pairs]
    names = [list(side) for side in zip(*pairs, strict=True)] or [[], []]
    _check_taps(path, names)
    networks = (("student", space.student), ("teacher", space.teacher))
    layers = [
        [_layer(path, network, name, known) for name in side]
        for side, (network, known) in zip(names, networks, strict=True)
    ]
    return AttachedMegatron(config, weights, layers, student, teacher)


def share_one_projector(loss: RecipeLoss) -> None:
    """Give all terms one projector, as in Megatron, and none between equal widths."""
    first: nn.Module | None = None
    for projector in loss.projectors:
        linear = projector.projection
        if isinstance(linear, nn.Linear):
            first = first or (nn.Identity() if linear.in_features == linear.out_features else linear)
            projector.projection = first


class AttachedMegatron:
    """The plugin's loss modules with their one projection, fed with features as Megatron lays them out."""

    def __init__(
        self,
        config: Any,
        weights: Sequence[float],
        layers: Sequence[Sequence[Layer]],
        student: nn.Module,
        teacher: nn.Module,
    ) -> None:
        plugin = import_module("modelopt.torch.distill.plugins.megatron")
        self.weights, self.temperature = weights, config.logit_kl_temperature
        self.layers = layers
        networks = [_transformer_config(side[0].width if side else 1) for side in layers]
        self.projection = plugin.ProjectionLayer(*networks)
        self.logits = plugin.LogitsKLLoss(networks[0], temperature=config.logit_kl_temperature)
        kinds = [config.parse_intermediate_entry(entry)[2] for entry in config.intermediate_layer_pairs]
        self.losses = [kind(networks[0], projection_layer=self.projection) for kind in kinds]
        self.taps = [
            FeatureTaps(model, {layer.path for layer in side}, copied={layer.path for layer in side}).__enter__()
            for model, side in zip((student, teacher), layers, strict=True)
        ]

    def __call__(self, batch: ExportedBatch) -> Tensor:
        """The weighted sum of what Megatron logs."""
        total = self.weights[0] * batch.task_loss
        if self.weights[1]:
            assert batch.student_outputs is not None
            logits = _reduced(self.logits, batch.student_outputs, batch.teacher_outputs, batch.mask)
            total = total + self.weights[1] * logits
        student, teacher = (taps.take() for taps in self.taps)
        losses = [
            _reduced(loss, student[s.path], teacher[t.path], batch.mask)
            for loss, s, t in zip(self.losses, *self.layers, strict=True)
        ]
        return total + self.weights[2] * torch.stack(losses).mean() if losses else total

    def parameters(self) -> Iterator[nn.Parameter]:
        """Those of the one projection."""
        return iter(self.projection.parameters()) if self.losses else iter(())

    def to(self, device: torch.device) -> Self:
        """The loss with its projection on the device."""
        self.projection.to(device)
        return self

    def close(self) -> None:
        """Remove the hooks from both networks."""
        for taps in self.taps:
            taps.__exit__(None, None, None)


def _reduced(loss: nn.Module, student: Tensor, teacher: Tensor | None, mask: Tensor | None) -> Tensor:
    """The mean over real tokens of a loss per token; features `[B, L, C]` go in as `[L, B, C]`."""
    assert teacher is not None
    per_token = loss(*(x.transpose(0, 1).contiguous() for x in (student, teacher)))[0]  # [B, L]
    real = torch.ones_like(per_token) if mask is None else mask.to(per_token.dtype)
    mean: Tensor = (per_token * real).sum() / real.sum()
    return mean


def _check_balance(path: Path, config: Any, weights: Sequence[float]) -> None:
    """Compare Megatron's settings for the balance of its losses with the header: no single loss shows them."""
    task, logits, features = weights
    distilled = features + logits / config.logit_kl_temperature**2
    wanted = {"skip_lm_loss": task == 0, "kd_loss_scale": distilled / task if task else 1.0}
    for name, value in wanted.items():
        setting = getattr(config, name)
        if not math.isclose(setting, value, rel_tol=1e-6):
            raise ExportError(f"{path}: according to its header, `{name}` must be {value}, but got {setting}")


def _check_taps(path: Path, names: Sequence[Sequence[str]]) -> None:
    """Compare the taps that the pairs name with the module beside the file."""
    if not any(_TAP.search(name) for side in names for name in side):
        return
    module = taps_path(path)
    made = executed(module)
    for network, side in zip(("STUDENT", "TEACHER"), names, strict=True):
        taps = [f"{layer}.tap{place}" for place, layer in enumerate(made[network])]
        if taps != side:
            raise ExportError(f"{path}: its taps must be those of {module.name}, {taps}, but got {side}")


def _layer(path: Path, network: str, name: str, layers: Sequence[Layer]) -> Layer:
    """The study's layer that has this name in Megatron, with or without a tap."""
    known = {megatron_path(layer.path): layer for layer in layers}
    bare = _TAP.sub("", name)
    if bare not in known:
        names = [each for each in known if each]
        raise ExportError(f"{path}: the study's {network} has no layer `{bare}`{did_you_mean(bare, names)}")
    return known[bare]


def _transformer_config(width: int) -> Any:
    transformer = import_module("megatron.core.transformer")
    return transformer.TransformerConfig(
        num_layers=1, hidden_size=width, num_attention_heads=1, use_cpu_initialization=True
    )
