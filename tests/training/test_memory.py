import pytest
import torch
from torch import nn

from mapsearch.training.memory import free_bytes, is_out_of_memory, kept_for_backward, state_bytes


def test_what_a_forward_pass_keeps_is_counted_once_and_without_weights():
    model, x = nn.Linear(10, 20, bias=False), torch.randn(5, 10)
    with kept_for_backward(model) as kept:
        h = model(x)  # keeps x
        (torch.exp(h) + h.square() + h.square()).sum()  # exp keeps its result, the squares keep h
    assert kept.n_bytes == 4 * (5 * 10 + 5 * 20 + 5 * 20)
    with kept_for_backward(model) as kept, torch.no_grad():
        model(x)
    assert kept.n_bytes == 0


@pytest.mark.parametrize(("optimizer", "copies"), [("adamw", 4), ("sgd", 3)])
def test_the_state_of_training(optimizer, copies):
    model, frozen = nn.BatchNorm1d(8), nn.Linear(2, 2).requires_grad_(False)
    buffers = 4 * 16 + 8
    assert state_bytes((model, frozen), optimizer) == 4 * 16 * copies + buffers + 4 * 6


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("x"), True),
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"), False),
        (RuntimeError("shape mismatch"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_errors_that_mean_too_little_memory(error, is_memory):
    assert is_out_of_memory(error) == is_memory


def test_a_cpu_allocation_that_fails_is_recognised():
    with pytest.raises(RuntimeError, match="allocate memory") as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_memory_that_is_taken_is_not_free():
    free = free_bytes(torch.device("cpu"))
    assert free is None or 0 < free < 2**60
