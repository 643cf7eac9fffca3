"""A device `gpu:0` written in Python, for tests without a GPU: values are real, and mixing devices fails as on a GPU.

Each tensor of the device holds a CPU tensor, on which everything is computed, so that results equal the CPU's bit for
bit. The device is registered once per process, when this module is imported, before any model is moved. Not emulated:
autocast, streams, memory figures, `torch.cuda.*`, worker processes. PyTorch calls the registration experimental.
"""

from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "gpu"
DEVICE = f"{NAME}:0"
MOVES = {"_to_copy", "copy_"}
"""Operations that may see tensors of two devices."""
INDEXING = {"index", "index_put", "index_put_"}
"""Operations that take CPU indices into a tensor of the device."""
TO_PYTHON = {"_local_scalar_dense"}


class _Backend:
    """What PyTorch asks of a device's module."""

    def is_initialized(self) -> bool:
        return True

    def is_available(self) -> bool:
        return True

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        """Random numbers are the CPU's."""

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


_setup_privateuseone_for_python_backend(NAME, backend_module=_Backend())
torch.__future__.set_overwrite_module_params_on_conversion(True)  # a parameter cannot change its class in place


class DeviceTensor(Tensor):
    """A tensor of the device around a CPU tensor."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "DeviceTensor":
        return Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), dtype=inner.dtype, device=torch.device(DEVICE)
        )

    def __init__(self, inner: Tensor) -> None:
        self.inner = inner

    def tolist(self) -> Any:
        return self.inner.tolist()

    def untyped_storage(self) -> Any:
        return self.inner.untyped_storage()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"can't convert {DEVICE} device type tensor to numpy. Use Tensor.cpu() first")

    __array__ = numpy
    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


class StandInDevice(TorchDispatchMode):
    """Within it, factories with `device=` and `.to("gpu:0")` of CPU tensors make tensors of the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


def compute(func: Any, args: Any, kwargs: Any) -> Any:
    """Run an operation on the CPU tensors inside; the result is on the device where the operation's is."""
    name = func._schema.name.split("::")[1]
    if name not in MOVES:
        raise_for_other_devices(func, name, args, kwargs)
    wanted = kwargs.get("device")
    if wanted is not None:
        on_device = torch.device(wanted).type == NAME
    else:
        on_device = any(isinstance(x, DeviceTensor) for x in tensors(args, kwargs)) and name not in TO_PYTHON
    inner_args, inner_kwargs = pytree.tree_map(lambda x: x.inner if isinstance(x, DeviceTensor) else x, (args, kwargs))
    if wanted is not None:
        inner_kwargs["device"] = torch.device("cpu")
    out = func(*inner_args, **inner_kwargs)
    if any(returned.alias_info and returned.alias_info.is_write for returned in func._schema.returns):
        return args[0] if isinstance(out, Tensor) else out  # in place: the tensor that was given
    return pytree.tree_map(lambda x: DeviceTensor(x) if isinstance(x, Tensor) and on_device else x, out)


def raise_for_other_devices(func: Any, name: str, args: Any, kwargs: Any) -> None:
    """Refuse CPU tensors beside those of the device; numbers, and indices into it, may be on the CPU."""
    given = tensors(args, kwargs)
    if not any(isinstance(tensor, DeviceTensor) for tensor in given):
        return
    if name in INDEXING and isinstance(args[0], DeviceTensor):
        given = tensors(args[2:], {})  # the values that are put, without the indices
    if any(not isinstance(tensor, DeviceTensor) and tensor.ndim > 0 for tensor in given):
        raise RuntimeError(f"Expected all tensors to be on the same device, but found {DEVICE} and cpu ({func})")


def tensors(args: Any, kwargs: Any) -> list[Tensor]:
    """All tensors among the arguments."""
    return [x for x in pytree.arg_tree_leaves(*args, **kwargs) if isinstance(x, Tensor)]
