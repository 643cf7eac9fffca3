"""How a student's images lie in memory while it is trained."""

import torch
from torch import Tensor, nn

from mapsearch.tasks.batches import collated
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.nested import in_dtype, tensors_of, to_device
from mapsearch.tasks.outputs import matched_outputs
from mapsearch.tasks.seeding import seed_everything

N_COMPARED_SAMPLES = 4
OUTPUT_TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3}
"""Relative difference of outputs that rounding may make; in TF32, which float32 may be, it is that large."""
FEWEST_CHANNELS = 8


def choose_memory_format(loaded: LoadedTask) -> torch.memory_format:
    """Channels last where the student convolves images and gives the same outputs that way, else contiguous.

    Convolutions and the losses after them are faster with channels last. A network that takes its
    features for contiguous (`x.view(len(x), -1)`) fails, or is wrong, on a few samples here and is left alone.
    On a GPU both are computed in float64 where the network can: in TF32 two workers might come to different
    answers, and train runs that are compared in different formats.
    """
    dtypes = (torch.float32,) if loaded.device.type == "cpu" else (torch.float64, torch.float32)
    for dtype in dtypes:
        try:
            return torch.channels_last if _may_be_channels_last(loaded, dtype) else torch.contiguous_format
        except Exception:  # no float64, or an error of the user's code, which every run meets where it is reported
            continue
    return torch.contiguous_format


def _may_be_channels_last(loaded: LoadedTask, dtype: torch.dtype) -> bool:
    convolutions = [module for module in loaded.new_student(0).modules() if isinstance(module, nn.Conv2d)]
    if not convolutions or (loaded.device.type == "cpu" and any(map(_breaks_on_cpu, convolutions))):
        return False
    contiguous, channels_last = (
        _outputs(loaded, memory_format, dtype) for memory_format in (torch.contiguous_format, torch.channels_last)
    )
    return bool((channels_last - contiguous).norm() <= OUTPUT_TOLERANCE[dtype] * contiguous.norm())


def _breaks_on_cpu(convolution: nn.Conv2d) -> bool:
    """Whether its backward pass with channels last writes outside its memory on a CPU (seen in PyTorch 2.13).

    It does where a strided 1 x 1 convolution has few input channels.
    """
    is_strided_point = convolution.kernel_size == (1, 1) and convolution.stride != (1, 1)
    return is_strided_point and convolution.in_channels < FEWEST_CHANNELS


def _outputs(loaded: LoadedTask, memory_format: torch.memory_format, dtype: torch.dtype) -> Tensor:
    """Those of the first samples; loss and backward pass must run as well."""
    student = loaded.new_student(0).to(dtype).to(memory_format=memory_format).eval()  # type: ignore[call-overload]
    seed_everything(0)
    chosen = range(min(N_COMPARED_SAMPLES, len(loaded.train)))
    batch = in_dtype(to_device(collated(loaded, loaded.train, chosen), loaded.device), dtype)
    output = loaded.task.forward(student, batch)
    loss, outputs = loaded.task.loss(output, batch), matched_outputs(loaded.task, output)
    total = sum(term for term in (loss, None if outputs is None else outputs.sum()) if term is not None)
    if isinstance(total, Tensor):
        total.backward()  # type: ignore[no-untyped-call]
    return next(tensors_of(output) if outputs is None else iter((outputs,))).detach().to(dtype)
