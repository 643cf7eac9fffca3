"""Children of a network that repeat its features, for frameworks that hook modules."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from mapsearch.exports.inlined.layer_hooks import LayerHooks


class Aliases(nn.Module):
    """`aliases.0`, `aliases.1`, ...: each repeats, as a list, the features of some layers when the network has run.

    So a layer can be in any number of pairs, and what is captured is a copy that later layers cannot overwrite.
    Nothing here has weights: the state dict stays as it is.
    """

    def __init__(self, network: str, model: nn.Module, groups: Sequence[Sequence[str]]) -> None:
        super().__init__()
        self.groups, self.aliases = groups, nn.ModuleList(nn.Identity() for _ in groups)
        self.hooks = LayerHooks(network, model, list(dict.fromkeys(path for group in groups for path in group)))
        self.hooks.attach()
        self.handle = model.register_forward_hook(self._repeat)

    def _repeat(self, model: nn.Module, args: Any, output: Any) -> None:
        features = self.hooks.take()
        for alias, group in zip(self.aliases, self.groups, strict=True):
            alias([features[path] for path in group])

    def forward(self, x: Any) -> Any:
        """`x` unchanged, in case the network runs its children one after the other."""
        return x

    def remove(self) -> None:
        """Remove the hooks."""
        self.handle.remove()
        self.hooks.remove()
