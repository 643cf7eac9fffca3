"""What one process keeps from one cohort to the next: cached teacher outputs, and how much fits into memory."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch

from mapsearch.core.events import Message
from mapsearch.core.execution import DEFAULT_CACHE_BYTES
from mapsearch.core.train_spec import TrainSpec
from mapsearch.features.cache import FeatureCache
from mapsearch.features.weights import weights_digest
from mapsearch.losses.gradients import TermGradient
from mapsearch.tasks.evaluation import Evaluator
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.sample_digests import KnownDigests
from mapsearch.tasks.user_code import describe
from mapsearch.training.caching import why_not_cached
from mapsearch.training.cuda_graphs import CudaGraphs
from mapsearch.training.memory_format import choose_memory_format
from mapsearch.training.recorder import Recorder
from mapsearch.training.teacher_batches import OUTPUTS
from mapsearch.training.teacher_cache import TeacherCache

VARYING = (
    "some training samples come out different when they are read again: the teacher runs anew for those that do; "
    "`execution.cache_bytes: 0` saves reading all of them at every step"
)


@dataclass
class WorkerState:
    """Made once per process for one loaded task; without it every cohort begins with nothing.

    `cache` is None where the teacher must run at every step. `step_bytes` is the most that a student's
    step has taken so far beside the state of training. `evaluator` measures students and keeps the teacher's answers.
    `messages` wait to be told, each once. `open_recorder` makes of the bytes that a step takes what records the steps
    of a cohort, where the device can. `first_gradients` are those of the terms that students of each seed begin with.
    """

    cache: TeacherCache | None = None
    memory_format: torch.memory_format = torch.contiguous_format
    step_bytes: int = 0
    messages: list[Message] = field(default_factory=list)
    evaluator: Evaluator | None = None
    open_recorder: Callable[[int], Recorder] | None = None
    first_gradients: dict[tuple[object, ...], TermGradient] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def tell_ordinary(self, why: str) -> None:
        """Tell, once, why steps are not recorded."""
        text = f"students of this study train without CUDA graphs, which takes longer: {why}"
        if text not in self._told:
            self._told.add(text)
            self.messages.append(Message("graphs", text))

    def take_messages(self) -> list[Message]:
        """What is to be told since the last time: which teacher outputs cannot be cached, and why."""
        refused = self.cache.features.refused if self.cache else {}
        for name in refused.keys() - self._told:
            outputs = f"features of `{name}`" if name != OUTPUTS else "outputs"
            why = f"the teacher's {outputs} are not cached: {refused[name]}"
            self.messages.append(Message("cache", f"{why}; the teacher runs at every step that needs them"))
        self._told |= refused.keys()
        if self.cache and self.cache.digests.varies and VARYING not in self._told:
            self.messages.append(Message("cache", VARYING))
            self._told.add(VARYING)
        messages, self.messages = self.messages, []
        return messages


def open_worker_state(loaded: LoadedTask, train: TrainSpec, cache_bytes: int = DEFAULT_CACHE_BYTES) -> WorkerState:
    """The students' memory format, and a cache where training samples are fixed and the study asks for one.

    What is cached is shared by the processes of a machine through the task's `cache_dir`.

    Args:
        cache_bytes: budget for cached teacher outputs; 0 disables the cache.
    """
    state = WorkerState(memory_format=choose_memory_format(loaded), evaluator=Evaluator(loaded, train))
    if loaded.device.type == "cuda":
        state.open_recorder = partial(CudaGraphs, loaded.device)
    try:
        if cache_bytes > 0 and not why_not_cached(loaded, train):
            state.cache = _open_cache(loaded, train, cache_bytes)
    except Exception as error:  # of the task's data; whoever trains on it meets it again
        why = f"teacher outputs are not cached: reading training samples twice failed: {describe(error)}"
        state.messages.append(Message("cache", why))
    return state


def _open_cache(loaded: LoadedTask, train: TrainSpec, cache_bytes: int) -> TeacherCache:
    folder = loaded.task.cache_dir
    name = f"{weights_digest(loaded.teacher)}-{train.precision}"
    shared = folder / "teacher-features" / name if folder != Path() else None
    features = FeatureCache(len(loaded.train), cache_bytes, loaded.device, shared)
    return TeacherCache(features, KnownDigests(len(loaded.train)))
