"""Workers on a Ray cluster of two nodes on this machine: the same results, and nothing lost with a worker or a node."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from scheduled_runs import results, run
from small_tasks import Clusters, load, make_plans, make_space

from mapsearch.core.cluster import RayCluster
from mapsearch.core.errors import MapsearchError, StudyFailed
from mapsearch.core.events import RunsLost, RunsStarted
from mapsearch.core.execution import Execution
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.task_reference import TaskReference
from mapsearch.core.train_spec import TrainSpec
from mapsearch.executors.base import LoadFailed, Loading, Setup
from mapsearch.executors.inline import InlineExecutor
from mapsearch.executors.ray_cluster import RayExecutor
from mapsearch.executors.scheduler import Scheduler
from mapsearch.executors.session import Session

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("default")]  # Ray's own warnings are not ours

TESTS = Path(__file__).parents[1]
TRAIN = TrainSpec(steps=12, batch_size=16)
MAPPED = Recipe(LayerMapping([("blocks.0", "blocks.1", 1.0)]), feature_share=0.5, output_weight=1.0)
RECIPES = (Recipe(), Recipe(output_weight=1.0), MAPPED)
SPACE = make_space(load(Clusters()))


def setup(task: str = "Clusters", execution: Execution | None = None, **options: object) -> Setup:
    execution = execution or Execution(devices="cpu")
    reference = TaskReference(f"small_tasks.py:{task}", TESTS, options, Path("mapsearch-cache"))
    return Setup(reference, TRAIN, execution, "cpu", SPACE)


@pytest.fixture(autouse=True)
def settings(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def nodes(settings) -> Iterator[object]:
    """A head and one more node, a CPU each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.second = cluster.add_node(num_cpus=1)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def open_scheduler(nodes) -> Iterator[object]:
    opened = []

    def open_one(here: Setup, per_gpu: int = 1) -> Scheduler:
        opened.append(Scheduler(RayExecutor(here, RayCluster(nodes.address, per_gpu)), here.execution))
        return opened[-1]

    yield open_one
    for scheduler in opened:
        scheduler.close()


def test_two_nodes_give_what_one_process_gives(open_scheduler):
    cohorts = [(plan,) for plan in make_plans(*RECIPES)]
    scheduler = open_scheduler(setup())
    assert scheduler.n_workers == 2
    ours = results(scheduler, cohorts)
    inline = Scheduler(InlineExecutor(Session(load(Clusters()), SPACE, TRAIN, 2**20)), Execution())
    for key, expected in results(inline, cohorts).items():
        assert ours[key].state == "complete"
        assert ours[key].metrics == expected.metrics, "to the last bit"
        assert ours[key].curve == expected.curve


def test_a_killed_worker_costs_its_run_one_attempt(open_scheduler):
    (plan,) = make_plans(MAPPED, n_steps=2000)
    scheduler, killed, attempts, lost, done = open_scheduler(setup()), False, [], [], []
    for event in run(scheduler, [(plan,)]):
        if isinstance(event, RunsStarted):
            attempts.append(event.plans[0].attempt)
            if not killed:
                pid, _, place = event.worker.partition("@")
                assert place.startswith("node ")
                os.kill(int(pid), signal.SIGKILL)
                killed = True
        lost += [event] if isinstance(event, RunsLost) else []
        done += [event] if isinstance(event, RunResult) else []
    assert attempts == [1, 2]
    assert "the worker is gone" in lost[0].error
    assert [(result.state, result.attempt) for result in done] == [("complete", 2)]


def test_the_runs_of_a_lost_node_are_finished_on_another(open_scheduler, nodes):
    plans = make_plans(*RECIPES, n_steps=3000)
    scheduler, done, started = open_scheduler(setup()), [], 0
    for event in run(scheduler, [(plan,) for plan in plans]):
        started += isinstance(event, RunsStarted)
        if started == 2 and nodes.second is not None:
            nodes.remove_node(nodes.second, allow_graceful=False)
            nodes.second = None
        done += [event] if isinstance(event, RunResult) else []
    assert sorted(result.key for result in done) == sorted(plan.key for plan in plans)
    assert {result.state for result in done} == {"complete"}
    assert sorted(result.attempt for result in done) == [1, 1, 2]


def test_a_worker_without_progress_is_replaced_and_its_late_results_are_not_read(open_scheduler):
    execution = Execution(devices="cpu", workers=1, stall_seconds=3)
    (plan,) = make_plans(Recipe(output_weight=1.0), seed=13)
    events = list(run(open_scheduler(setup("Stuck", execution)), [(plan,)]))
    lost = [event.error for event in events if isinstance(event, RunsLost)]
    assert lost == ["no progress for 3 s (`execution.stall_seconds`)"] * 2
    assert [event.state for event in events if isinstance(event, RunResult)] == ["crashed"]


def test_a_worker_that_never_loads_the_task_ends_the_study(open_scheduler):
    execution = Execution(devices="cpu", workers=1, stall_seconds=3)
    with pytest.raises(StudyFailed, match=r"no progress for 3 s .* before it had loaded the task"):
        list(run(open_scheduler(setup("NeverLoaded", execution)), [(plan,) for plan in make_plans(Recipe())]))


def test_a_request_that_no_node_can_meet_is_refused_at_once(open_scheduler):
    with pytest.raises(StudyFailed, match="no room for a worker that needs num_cpus 64"):
        open_scheduler(setup(execution=Execution(devices="cpu", threads=64)))


def test_parts_of_a_gpu_are_counted_and_a_gpu_that_torch_does_not_see_is_told(nodes):
    nodes.add_node(num_cpus=4, num_gpus=1)
    executor = RayExecutor(setup(execution=Execution()), RayCluster(nodes.address, per_gpu=2))
    try:
        assert executor.n_workers == 2, "the nodes without a GPU have no room"
        executor.start(0)
        messages = []
        while len(messages) < 2:
            messages += executor.poll(5.0)
    finally:
        executor.close()
    ((slot, loading), (_, failed)) = messages
    assert slot == 0
    assert isinstance(loading, Loading)
    assert isinstance(failed, LoadFailed)
    assert "Ray gave this worker a GPU, but torch sees none" in failed.error


def test_a_node_with_other_versions_or_another_task_file_is_refused(monkeypatch):
    from mapsearch.executors.ray_worker import RayWorker, Versions, versions_here

    monkeypatch.chdir(TESTS)
    here = setup()
    expected = versions_here(here.task)
    for other, told in [
        (Versions("0.0", expected.torch, expected.task_sha256), "install the same on every node"),
        (Versions(expected.mapsearch, expected.torch, "f00"), "is not the controller's"),
    ]:
        _, failed = RayWorker().open(here, other)
        assert isinstance(failed, LoadFailed)
        assert told in failed.error


def test_a_cluster_that_is_not_there_and_one_whose_authentication_is_unknown(monkeypatch):
    with pytest.raises(MapsearchError, match=r"Ray on 127.0.0.1:1 cannot be used"):
        RayExecutor(setup(), RayCluster("127.0.0.1:1"))
    monkeypatch.delenv("RAY_AUTH_MODE")
    with pytest.raises(MapsearchError, match="RAY_AUTH_MODE"):
        RayExecutor(setup(), RayCluster("auto"))
