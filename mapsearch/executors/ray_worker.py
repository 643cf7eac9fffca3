"""A worker that is an actor of Ray: its node must have the controller's versions; then its task is loaded once."""

import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import ray
import torch

from mapsearch import __version__
from mapsearch.core.errors import MapsearchError
from mapsearch.core.runs import Cohort
from mapsearch.core.task_reference import TaskReference
from mapsearch.executors.base import LoadFailed, Loading, Ready, Setup, WorkerMessage
from mapsearch.executors.session import Session, open_session
from mapsearch.tasks.loading import task_digest
from mapsearch.tasks.user_code import describe


@dataclass(frozen=True)
class Versions:
    """What must be the same on every node, so that a run does not depend on where it is trained."""

    mapsearch: str
    torch: str
    task_sha256: str


def versions_here(task: TaskReference) -> Versions:
    """Those of this process; builds of one torch release for CPU and CUDA count as equal."""
    return Versions(__version__, torch.__version__.partition("+")[0], task_digest(task))


class RayWorker:
    """What Ray runs as an actor; its methods are generators, whose items are streamed to the controller."""

    def __init__(self) -> None:
        self._session: Session | None = None

    def open(self, setup: Setup, expected: Versions) -> Iterator[WorkerMessage]:
        """Load the task from the folder that Ray has brought here, and say who does and whether it could be loaded."""
        setup = replace(setup, task=_task_here(setup.task), device=_device())
        yield Loading(f"{os.getpid()}@{_node()}/{setup.device}")
        try:
            _check_node(setup, expected)
            self._session = open_session(setup)
        except MapsearchError as failure:
            yield LoadFailed(f"{_node()}: {failure}")
        except (Exception, SystemExit) as failure:
            yield LoadFailed(f"{_node()}: {describe(failure)}")
        else:
            yield Ready()

    def train(self, cohort: Cohort) -> Iterator[WorkerMessage]:
        """Train the cohort, as every worker does."""
        assert self._session is not None, "the controller sends cohorts to ready workers only"
        yield from self._session.train(cohort)


def _check_node(setup: Setup, expected: Versions) -> None:
    here = versions_here(setup.task)
    if here.task_sha256 != expected.task_sha256:
        raise MapsearchError(f"the task file {setup.task.file} is not the controller's; remove the other one")
    if here != expected:
        raise MapsearchError(
            f"it has mapsearch {here.mapsearch} and torch {here.torch}, but the controller has {expected.mapsearch} "
            f"and {expected.torch}; install the same on every node"
        )
    if ray.get_gpu_ids() and setup.device == "cpu":
        raise MapsearchError("Ray gave this worker a GPU, but torch sees none; look at the node's CUDA installation")


def _task_here(task: TaskReference) -> TaskReference:
    """The task in the working folder that Ray made; its cache where the controller has it, if this node has that."""
    return replace(task, folder=Path.cwd(), cache_dir=_writable(task.cache_dir))


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.gettempdir()) / "mapsearch-cache" / folder.name
    return folder


def _device() -> str:
    return "cuda" if ray.get_gpu_ids() and torch.cuda.is_available() else "cpu"


def _node() -> str:
    return f"node {platform.node()}"
