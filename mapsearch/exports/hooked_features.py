"""The feature part of an exported PyTorch file; `torch_module` pastes its source, so it knows no noun of ours."""

from collections.abc import Callable, Sequence
from functools import partial
from math import cos, pi
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mapsearch.features.modules import bare_modules
from mapsearch.features.taps import feature_of
from mapsearch.losses.projectors import Projector


class LayerHooks:
    """What some layers of a network put out in its latest forward pass.

    Layers are found in wrapped networks as well (DistributedDataParallel, torch.compile, PEFT).
    """

    def __init__(self, network: str, model: nn.Module, paths: Sequence[str]) -> None:
        modules = bare_modules(model)
        missing = [path for path in paths if path not in modules]
        if missing:
            raise ValueError(f"the {network} has no layer `{missing[0]}`; see `named_modules()` for its layers")
        self.network = network
        self.model, self.layers = model, {path: modules[path] for path in paths}
        self.features: dict[str, list[Tensor]] = {path: [] for path in paths}
        self.handles: list[RemovableHandle] = []

    def attach(self) -> None:
        """Set the hooks."""
        self.handles = [self.model.register_forward_pre_hook(self._start)]
        self.handles += [m.register_forward_hook(partial(self._capture, path)) for path, m in self.layers.items()]

    def remove(self) -> None:
        """Take the hooks away again."""
        for handle in self.handles:
            handle.remove()

    def _start(self, model: nn.Module, args: Any) -> None:
        self.features = {path: [] for path in self.features}  # an evaluation in between leaves nothing behind

    def _capture(self, path: str, module: nn.Module, args: Any, output: Any) -> None:
        feature = feature_of(output)
        if feature is not None:
            self.features[path].append(feature.clone())  # layers further on may overwrite it in place

    def take(self) -> dict[str, Tensor]:
        """The features by layer; every layer must have run once."""
        taken = self.features
        self.features = {path: [] for path in taken}
        for path, outputs in taken.items():
            if len(outputs) != 1:
                raise RuntimeError(
                    f"{self.network} layer `{path}` must put out one tensor per forward pass, but put out "
                    f"{len(outputs)}; run both networks once before each call of the loss"
                )
        return {path: outputs[0] for path, outputs in taken.items()}


class FeatureDistillation(nn.Module):
    """The sum over pairs of `multiplier * loss(projected student feature, teacher feature)`, fading to zero."""

    def __init__(
        self,
        student: nn.Module,
        teacher: nn.Module,
        pairs: Sequence[tuple[Any, ...]],
        loss: Callable[..., Tensor],
        anneal: float | None,
    ) -> None:
        super().__init__()
        self.pairs, self.loss, self.anneal = pairs, loss, anneal
        self.projectors = nn.ModuleList(Projector(*shape) for _, _, _, *shape in pairs)
        self.student = LayerHooks("student", student, [pair[0] for pair in pairs])
        self.teacher = LayerHooks("teacher", teacher, [pair[1] for pair in pairs])
        self.student.attach()
        self.teacher.attach()

    def forward(self, mask: Tensor | None = None, progress: float = 0.0) -> Tensor:
        """The feature part of the batch both networks have just seen; half a cosine fades it until `anneal`."""
        student, teacher = self.student.take(), self.teacher.take()
        require_gradient(student)
        losses = []
        for (s_path, t_path, multiplier, *_), projector in zip(self.pairs, self.projectors, strict=True):
            assert isinstance(projector, Projector)
            s, t = projector(student[s_path], teacher[t_path])
            losses.append(multiplier * self.loss(s, t, mask, **projector.learned))
        return fade(self.anneal, progress) * torch.stack(losses).sum()

    def close(self) -> None:
        """Remove the hooks from both networks."""
        self.student.remove()
        self.teacher.remove()


def require_gradient(features: dict[str, Tensor]) -> None:
    """Make sure that what is taught can learn."""
    for path, feature in features.items():
        if torch.is_grad_enabled() and not feature.requires_grad:
            raise RuntimeError(
                f"student layer `{path}` carries no gradient: frozen, no_grad or reentrant checkpointing"
            )


def fade(anneal: float | None, progress: float) -> float:
    """Factor of the feature part: half a cosine from one to zero at `anneal`; None never fades."""
    return 1.0 if anneal is None else 0.5 * (1 + cos(pi * min(1.0, progress / anneal)))
