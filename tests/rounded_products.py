"""TF32 without a GPU: the inputs of products and convolutions are rounded to ten bits of mantissa."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

PRODUCTS = {"mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "dot"}
CONVOLUTIONS = {"convolution", "convolution_backward"}


class RoundedProducts(TorchDispatchMode):
    """Within it float32 products, and convolutions where asked, are computed as a GPU does in TF32."""

    def __init__(self, convolutions: bool = True) -> None:
        super().__init__()
        self.rounded = PRODUCTS | CONVOLUTIONS if convolutions else PRODUCTS
        self.n_rounded = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func._schema.name.removeprefix("aten::") in self.rounded:
            self.n_rounded += 1
            args, kwargs = tree_map(to_tf32, (args, kwargs))
        return func(*args, **(kwargs or {}))


def to_tf32(value: Any) -> Any:
    """A float32 tensor rounded to the nearest number with ten bits of mantissa; anything else as it is."""
    if not isinstance(value, Tensor) or value.dtype != torch.float32:
        return value
    return ((value.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)
