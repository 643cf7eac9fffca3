"""Looking at the chosen layers of a running network: every feature is reduced at once, none is kept."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from functools import partial
from itertools import chain
from typing import Any, Self

import torch
from torch import Tensor, nn

from mapsearch.core.errors import LayerNotFound, TaskError
from mapsearch.core.layers import Layer
from mapsearch.core.masks import mask_for
from mapsearch.features.modules import watchable
from mapsearch.features.rows import RowRule, to_rows, token_order
from mapsearch.features.taps import every_module_runs
from mapsearch.features.watch import padded, watch
from mapsearch.measures.table import Sums
from mapsearch.tasks.masks import Masks
from mapsearch.tasks.nested import tensors_of, to_device

Forward = Callable[[nn.Module, Any], Any]

_NETWORKS = ("student", "teacher")


def moved_to(model: nn.Module, batch: Any) -> Any:
    """The batch on the network's device; one that is there already is left as it is."""
    device = next((tensor.device for tensor in chain(model.parameters(), model.buffers())), None)
    if device is None or all(tensor.device == device for tensor in tensors_of(batch)):
        return batch
    return to_device(batch, device)


class BatchView:
    """How the features of one batch are looked at, the same for both networks.

    Args:
        masks: real positions `[B, L]` of a token batch, one mask for all layers or several by name and glob.
        n: number of samples that count; those after them are left out.
        sampled: outlier tokens are looked for in every so many-th sample.
    """

    def __init__(self, rule: RowRule, masks: Masks, n: int, sampled: int, random: torch.Generator) -> None:
        self.n, self.sampled = n, sampled
        self._masks = masks
        self._rule, self._random = rule, random
        self._order: Tensor | None = None
        self._shape: torch.Size | None = None

    def mask(self, layer: Layer) -> Tensor | None:
        """The mask of the layer."""
        mask: Tensor | None = mask_for(self._masks, layer.path)
        return None if mask is None else mask[: self.n].bool()

    def order(self, feature: Tensor, layer: Layer) -> Tensor | None:
        """Which positions are samples, and in which order; None unless tokens are samples.

        Raises:
            TaskError: the feature has no token for every token of the others.
        """
        if self._rule.tokens != "samples":
            return None
        if self._order is None:
            shape = feature.shape[:2]
            mask = self.mask(layer)
            mask = torch.ones(shape, dtype=torch.bool) if mask is None else mask
            self._order, self._shape = token_order(mask, self._random), mask.shape
        if layer.kind != "tokens" or feature.shape[:2] != self._shape:
            raise TaskError(
                "`tokens: samples` needs the same tokens from every layer, but "
                f"`{layer.path}` gives a {layer.kind} {list(feature.shape)}; choose `tokens: mean` or other layers"
            )
        return self._order.to(feature.device)


class FeatureReader:
    """Looks at the chosen layers of one network while it runs, and reduces each feature at once.

    Args:
        network: 0 for the student, 1 for the teacher.
    """

    def __init__(
        self, network: int, model: nn.Module, layers: Sequence[Layer], forward: Forward, sums: Sums, rule: RowRule
    ) -> None:
        self._network, self._model, self._layers, self._forward = network, model, layers, forward
        self._sums, self._rule = sums, rule
        self._open = ExitStack()
        self._view: BatchView | None = None
        self._found: dict[int, Any] = {}
        self._fused = True
        self._outliers = [0.0] * len(layers)
        self._grids: dict[int, set[torch.Size]] = {}

    def __enter__(self) -> Self:
        self._open.callback(self._model.train, self._model.training)
        self._model.eval()
        shown = {layer.path: partial(self._see, i) for i, layer in enumerate(self._layers)}
        self._open.enter_context(watchable(self._model, shown))
        self._calls = self._open.enter_context(watch(self._model, shown))
        return self

    def __exit__(self, *reason: object) -> None:
        self._open.close()

    def read(self, batch: Any, view: BatchView) -> list[Any]:
        """What `sums` keeps of every layer for this batch.

        Raises:
            LayerNotFound: a layer did not run.
        """
        self._view, self._found = view, {}
        self._calls.clear()
        with nullcontext() if self._fused else every_module_runs():
            self._forward(self._model, moved_to(self._model, batch))
        self._view = None
        missing = [layer.path for i, layer in enumerate(self._layers) if i not in self._found]
        if missing and self._fused:
            self._fused = False  # it lies inside a fused layer
            return self.read(batch, view)
        if missing:
            raise LayerNotFound(f"layer `{missing[0]}` must run in every forward pass, but did not; choose another")
        return [self._found[i] for i in range(len(self._layers))]

    def notes(self) -> Iterator[str]:
        """What must be known to read the values."""
        some = [share for share in self._outliers if share]
        if some:
            worst = self._layers[self._outliers.index(max(some))].path
            yield (
                f"{_NETWORKS[self._network]}: tokens of huge norm in {len(some)} of {len(self._layers)} layers were "
                f"scaled down, at most {max(some):.1%} of the tokens (`{worst}`)"
            )

        grids = max(self._grids.values(), key=len, default=set())
        if len(grids) > 1:
            yield (
                f"{_NETWORKS[self._network]}: flattened maps came in {len(grids)} sizes, so that large ones compare "
                "other positions than small ones; `maps: mean` or `maps: grid` compares all alike"
            )

    def _see(self, i: int, feature: Tensor) -> None:
        if self._view is None:  # the other network, which may be the same one, is being run
            return
        layer, view = self._layers[i], self._view
        device = feature.device.type
        with torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext():
            mask = view.mask(layer)
            mask = None if mask is None else mask.to(feature.device)
            if layer.kind == "map" and self._rule.maps == "flatten":
                self._grids.setdefault(i, set()).add(feature.shape[2:])
            feature = padded(feature.detach(), mask)[: view.n]
            result = to_rows(feature, layer.kind, self._rule, mask, view.order(feature, layer), view.sampled)
            self._outliers[i] = max(self._outliers[i], result.outliers)
            self._found[i] = self._sums.reduce(self._network, i, result.rows)

    def not_finite(self, i: int) -> str:
        """The message for a layer whose feature holds inf or NaN."""
        who = f"{_NETWORKS[self._network]} layer `{self._layers[i].path}`"
        return f"similarity: features must be finite, but {who} produced inf or NaN; check its weights or leave it out"
