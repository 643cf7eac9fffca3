"""What one process keeps from one cohort to the next: what the teacher said, and how much memory a step takes."""

from dataclasses import dataclass
from pathlib import Path

import torch

from mapsearch.core.execution import DEFAULT_CACHE_BYTES
from mapsearch.core.spec import TrainSpec
from mapsearch.features.cache import FeatureCache
from mapsearch.features.weights import weights_digest
from mapsearch.tasks.contents import why_not_fixed
from mapsearch.tasks.loading import LoadedTask
from mapsearch.training.memory_format import choose_memory_format


@dataclass
class WorkerState:
    """Made once per process for one loaded; without it every cohort begins with nothing.

    `cache` is None where the teacher must run at every step. `step_bytes` is the most that a student's
    forward pass has kept for its backward pass so far.
    """

    cache: FeatureCache | None = None
    memory_format: torch.memory_format = torch.contiguous_format
    step_bytes: int = 0


def open_worker_state(loaded: LoadedTask, train: TrainSpec, cache_bytes: int = DEFAULT_CACHE_BYTES) -> WorkerState:
    """The students' memory format, and a cache where training samples are fixed and the study asks for one.

    What is cached is shared by the processes of a machine through the task's `cache_dir`.

    Args:
        cache_bytes: budget for cached teacher outputs; 0 disables the cache.
    """
    return WorkerState(_open_cache(loaded, train, cache_bytes), choose_memory_format(loaded))


def _open_cache(loaded: LoadedTask, train: TrainSpec, cache_bytes: int) -> FeatureCache | None:
    try:
        is_fixed = cache_bytes > 0 and not why_not_fixed(loaded)
    except Exception:  # of the task's data; every cohort meets it again, where it can be told
        is_fixed = False
    if not is_fixed:
        return None
    folder = loaded.task.cache_dir
    shared = (
        folder / "teacher-features" / f"{weights_digest(loaded.teacher)}-{train.precision}"
        if folder != Path()
        else None
    )
    return FeatureCache(len(loaded.train), cache_bytes, loaded.device, shared)
