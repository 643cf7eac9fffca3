"""What a layer outputs: a vector, tokens or a map, and whether that can be used; known from shape and weights."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from mapsearch.core.addresses import matches
from mapsearch.core.errors import LayerNotFound, did_you_mean
from mapsearch.core.layers import Kind, Layer

CONVOLUTIONS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip
_CHANNELS_SECOND = (*CONVOLUTIONS, nn.BatchNorm1d, nn.GroupNorm, nn.InstanceNorm1d)
_CHANNELS_LAST = (nn.Linear, nn.LayerNorm, nn.Embedding)
_AXES: dict[Kind, tuple[int, ...]] = {"vector": (2,), "tokens": (3,), "map": (3, 4, 5)}
"""How many axes a feature of each kind may have, including the batch axis."""


def kind_of(module: nn.Module, tensor: Tensor, before: Kind | None) -> Kind | None:
    """Three axes are tokens, unless a layer of this many channels, all on the second axis, made them a map.

    Four and five are a map. The output of a module without weights, such as a ReLU, has the kind of its
    input: that of the layer that ran before.
    """
    if tensor.ndim == 2:
        return "vector"
    if tensor.ndim != 3:
        return "map" if tensor.ndim in (4, 5) else None
    if next(module.parameters(), None) is None:
        return "map" if before == "map" else "tokens"
    on_second = any(_width(m) == tensor.shape[1] for m in module.modules() if isinstance(m, _CHANNELS_SECOND))
    on_last = any(_width(m) == tensor.shape[2] for m in module.modules() if isinstance(m, _CHANNELS_LAST))
    return "map" if on_second and not on_last else "tokens"


def _width(module: nn.Module) -> int:
    """Number of channels that a weighted layer outputs."""
    names = ("out_features", "embedding_dim", "out_channels", "num_features", "num_channels")
    n_channels = next((getattr(module, name) for name in names if hasattr(module, name)), None)
    return int(module.normalized_shape[-1] if isinstance(module, nn.LayerNorm) else n_channels or 0)


def _holds(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> bool:
    return any(isinstance(inner, kinds) for inner in module.modules())


def tensor_problem(module: nn.Module, tensor: Tensor | None, n_samples: int, kind: Kind | None) -> str:
    """Why the output of the module cannot be mapped, or the empty string; `kind` is the one in the study file."""
    if tensor is None:
        return "outputs no tensor"
    if not tensor.is_floating_point():
        return f"outputs {tensor.dtype}, not floating-point numbers"
    shape = list(tensor.shape)
    if tensor.ndim < 2 or tensor.ndim > 5:
        return f"outputs shape {shape}; two to five axes are needed"
    if tensor.shape[0] != n_samples:
        way_out = "set `batch_first` in the network, or choose layers that keep the batch"
        return f"outputs shape {shape}, but its first axis must be the batch of {n_samples}; {way_out}"
    if kind:
        return (
            ""
            if tensor.ndim in _AXES[kind]
            else f"cannot be a {kind} (set in `layers.kinds`), because it outputs shape {shape}"
        )
    if tensor.ndim > 3 and _holds(module, _CHANNELS_LAST) and not _holds(module, _CHANNELS_SECOND):
        return f"outputs shape {shape} with channels last; a map needs its channels on the second axis"
    return ""


def require_known_layers(kinds: Mapping[str, Kind], layers: Sequence[Layer]) -> None:
    """Make sure that every name of `layers.kinds` matches a layer.

    Args:
        layers: those of both networks.

    Raises:
        LayerNotFound: a name matches no layer of either network; all of them at once.
    """
    paths = [layer.path for layer in layers]
    problems = [
        f"`layers.kinds`: no network has a layer `{pattern}`{did_you_mean(pattern, paths)}"
        for pattern in kinds
        if not any(matches(path, pattern) for path in paths)
    ]
    if problems:
        raise LayerNotFound(*problems)
