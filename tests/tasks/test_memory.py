import os
import resource
from pathlib import Path

import pytest
import torch

from mapsearch.tasks.memory import free_bytes, is_out_of_memory


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


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="only Linux says how much memory is available")
def test_no_more_memory_is_free_than_the_machine_has():
    free = free_bytes(torch.device("cpu"))
    assert free is not None
    assert 0 < free < os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says how much memory a process has")
@pytest.mark.parametrize("limit", [resource.RLIMIT_AS, resource.RLIMIT_DATA])
def test_no_more_memory_is_free_than_a_limit_leaves(limit):
    free, before = free_bytes(torch.device("cpu")), resource.getrlimit(limit)
    used = {resource.RLIMIT_AS: "VmSize", resource.RLIMIT_DATA: "VmData"}[limit]
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith(used))
    resource.setrlimit(limit, (kilobytes * 1024 + 2**26, before[1]))
    try:
        assert 2**25 < free_bytes(torch.device("cpu")) <= min(free, 2**26)
    finally:
        resource.setrlimit(limit, before)
