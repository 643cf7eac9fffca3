"""Workers that are actors of a Ray cluster. Ray places and kills them; retries, leases and fencing stay ours."""

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mapsearch.core.cluster import RayCluster
from mapsearch.core.errors import MapsearchError, StudyFailed
from mapsearch.core.execution import Execution
from mapsearch.core.runs import Cohort
from mapsearch.executors.base import Setup, WorkerDied, WorkerMessage

NOT_SHIPPED = [
    "*.db",
    "*.db-shm",
    "*.db-wal",
    "mapsearch-cache",
    "mapsearch-service",
    ".git",
    ".venv*",
    "__pycache__",
    ".demo",
]
"""What stays behind of the study's folder, which every node gets a copy of; what `.gitignore` names stays too."""

PACKAGE = Path(__file__).resolve().parents[1]


@dataclass
class _Worker:
    """An actor, and the messages of the method that it is at; None when it is at none."""

    actor: Any
    messages: Any


class RayExecutor:
    """One actor in each place that the cluster has for one, counted when the study starts.

    Args:
        setup: what every worker loads; its device is decided where the worker is.

    Raises:
        MapsearchError: Ray is not installed, or the cluster cannot be reached or has no room for a worker.
    """

    def __init__(self, setup: Setup, cluster: RayCluster) -> None:
        _connect(setup, cluster)
        import ray

        from mapsearch.executors.ray_worker import RayWorker, versions_here

        self._ray, self._setup, self._versions = ray, setup, versions_here(setup.task)
        nodes = [node for node in ray.nodes() if node["Alive"]]
        self._place = _place(nodes, setup.execution, cluster.per_gpu)
        room = sum(_room(node["Resources"], self._place) for node in nodes)
        wanted = setup.execution.workers
        self.n_workers = room if wanted == "auto" else min(room, wanted)
        if self.n_workers == 0:
            ray.shutdown()
            raise StudyFailed(f"the Ray cluster has no room for a worker that needs {_resources_text(self._place)}")
        self._actor_class = ray.remote(max_restarts=0, max_task_retries=0, **self._place)(RayWorker)
        self._workers: dict[int, _Worker] = {}

    def start(self, slot: int) -> str:
        """Ask for an actor; it may wait for a place, and names itself once it has one."""
        actor = self._actor_class.remote()
        messages = actor.open.options(num_returns="streaming").remote(self._setup, self._versions)
        self._workers[slot] = _Worker(actor, messages)
        return ""

    def send(self, slot: int, cohort: Cohort) -> None:
        """Let the actor train the cohort."""
        worker = self._workers[slot]
        worker.messages = worker.actor.train.options(num_returns="streaming").remote(cohort)

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerMessage]]:
        """All messages that have come."""
        streams = [worker.messages for worker in self._workers.values() if worker.messages is not None]
        if streams:
            self._ray.wait(streams, num_returns=1, timeout=seconds)
        return [(slot, message) for slot in list(self._workers) for message in self._receive(slot)]

    def stop(self, slot: int) -> None:
        """Kill the actor; what it still sends is never read."""
        worker = self._workers.pop(slot, None)
        if worker is not None:
            with suppress(self._ray.exceptions.RayError):  # its node may be gone
                self._ray.kill(worker.actor, no_restart=True)

    def close(self) -> None:
        """Kill all actors and leave the cluster."""
        for slot in list(self._workers):
            self.stop(slot)
        self._ray.shutdown()

    def _receive(self, slot: int) -> list[WorkerMessage]:
        worker, messages = self._workers[slot], list[WorkerMessage]()
        while worker.messages is not None and self._ray.wait([worker.messages], timeout=0)[0]:
            try:
                messages.append(self._ray.get(next(worker.messages)))
            except StopIteration:
                worker.messages = None
            except self._ray.exceptions.RayError as error:
                del self._workers[slot]
                return [*messages, WorkerDied(_cause(error))]
        return messages


def _connect(setup: Setup, cluster: RayCluster) -> None:
    if find_spec("ray") is None:
        raise MapsearchError("`--executor ray` needs Ray; `pip install 'mapsearch[ray]'`")
    if cluster.address is not None and "RAY_AUTH_MODE" not in os.environ:
        raise MapsearchError("set RAY_AUTH_MODE to `token` or `disabled`, whichever the cluster was started with")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    threads = str(setup.execution.threads)
    environment: dict[str, Any] = {
        "working_dir": str(setup.task.folder),
        "excludes": NOT_SHIPPED,
        "py_modules": [str(PACKAGE)],
        "env_vars": {"OMP_NUM_THREADS": threads},
    }
    local: dict[str, Any] = {} if cluster.address else {"include_dashboard": False}
    try:
        ray.init(cluster.address, runtime_env=environment, log_to_driver=False, logging_level="ERROR", **local)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = cluster.address or "this machine"
        hint = "; every node gets a copy of the study's folder: keep data elsewhere" if "size" in str(error) else ""
        raise MapsearchError(f"Ray on {where} cannot be used: {' '.join(str(error).split())}{hint}") from None


def _place(nodes: Sequence[dict[str, Any]], execution: Execution, per_gpu: int) -> dict[str, Any]:
    """What each worker asks Ray for: CPU threads, and its part of a GPU where there are any and the study may use them.

    Of several kinds of GPU the one that most nodes have is used: pairs that are compared are trained on one kind.
    """
    cpu: dict[str, Any] = {"num_cpus": execution.threads}
    if execution.first_device == "cpu" or not any(node["Resources"].get("GPU") for node in nodes):
        return cpu
    kinds = Counter(
        name.removeprefix("accelerator_type:")
        for node in nodes
        for name in node["Resources"]
        if name.startswith("accelerator_type:")
    )
    kind = {"accelerator_type": kinds.most_common(1)[0][0]} if len(kinds) > 1 else {}
    return {**cpu, "num_gpus": 1 / per_gpu, **kind}


def _room(resources: dict[str, float], place: dict[str, Any]) -> int:
    """How many workers a node has room for."""
    kind = place.get("accelerator_type")
    if kind is not None and f"accelerator_type:{kind}" not in resources:
        return 0
    by_cpu = int(resources.get("CPU", 0) // place["num_cpus"])
    gpus = place.get("num_gpus")
    return by_cpu if gpus is None else min(by_cpu, round(resources.get("GPU", 0) / gpus))


def _resources_text(place: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value if isinstance(value, str) else f'{value:g}'}" for name, value in place.items())


def _cause(error: Exception) -> str:
    """The first sentence of what Ray says."""
    return f"the worker is gone: {type(error).__name__}: {' '.join(str(error).split('.')[0].split())}"
