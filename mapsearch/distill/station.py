"""What one process keeps from one cohort to the next: what the teacher said, and how much memory a step takes."""

from dataclasses import dataclass
from pathlib import Path

import torch

from mapsearch.core.spec import TrainSpec
from mapsearch.distill.memory_format import choose_memory_format
from mapsearch.features.cache import FeatureCache
from mapsearch.features.weights import weights_digest
from mapsearch.tasks.contents import why_not_fixed
from mapsearch.tasks.loading import Bench


@dataclass
class Station:
    """Made once per process for one bench; without it every cohort begins with nothing.

    `cache` is None where the teacher must run at every step. `step_bytes` is the most that a student's
    forward pass has kept for its backward pass so far.
    """

    cache: FeatureCache | None = None
    memory_format: torch.memory_format = torch.contiguous_format
    step_bytes: int = 0


def open_station(bench: Bench, train: TrainSpec) -> Station:
    """A station with the students' memory format, and a cache as the study asks for where training samples are fixed.

    What is cached is shared by the processes of a machine through the task's `cache_dir`.
    """
    return Station(_open_cache(bench, train), choose_memory_format(bench))


def _open_cache(bench: Bench, train: TrainSpec) -> FeatureCache | None:
    try:
        is_fixed = train.cache_bytes > 0 and not why_not_fixed(bench)
    except Exception:  # of the task's data; every cohort meets it again, where it can be told
        is_fixed = False
    if not is_fixed:
        return None
    folder = bench.task.cache_dir
    shared = (
        folder / "teacher-features" / f"{weights_digest(bench.teacher)}-{train.precision}" if folder != Path() else None
    )
    return FeatureCache(len(bench.train), train.cache_bytes, bench.device, shared)
