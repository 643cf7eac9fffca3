"""What is run on the stand-in device, each in a process of its own: `python scenarios.py NAME`."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from small_tasks import Clusters, Pictures, Sentences, every_recipe, load, make_plans, make_space
from standin_device.device import DEVICE, StandInDevice
from torch.utils.data import TensorDataset

import mapsearch
from mapsearch.check import check
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.spec import StudySpec
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill, open_worker_state
from mapsearch.features.cache import FeatureCache
from mapsearch.tasks.task import Task

TRAIN = TrainSpec(steps=6, batch_size=64, lr=2e-3)  # type: ignore[call-arg]
N_STEPS = 3
"""One more than an epoch, so that the cache is read."""


def results(task: Task, device: str, cached: bool = True, recipes: int | None = None) -> list[RunResult]:
    """A cohort of every recipe, without what a clock measured."""
    loaded = load(task, device)
    space = make_space(loaded)
    state = open_worker_state(loaded, TRAIN, 2**20 if cached else 0)
    assert (state.cache is not None) == cached
    plans = make_plans(*every_recipe(space)[:recipes], n_steps=N_STEPS)
    events = distill(loaded, space, TRAIN, plans, state)
    return [replace(event, seconds=0.0) for event in events if isinstance(event, RunResult)]


def same_students(task: Task) -> None:
    """Results on the device equal those on the CPU bit for bit."""
    expected = results(task, "cpu")
    assert {run.state for run in expected} == {"complete"}
    with StandInDevice():
        assert results(task, DEVICE) == expected


class OnDevice(Clusters):
    """Data that lies on the device already."""

    def train_data(self) -> Any:
        data = super().train_data()
        return TensorDataset(data.x.to(DEVICE), data.y.to(DEVICE))


def data_on_the_device() -> None:
    """Data on the device is cached and trains the same students."""
    expected = results(Clusters(), "cpu", recipes=3)
    with StandInDevice():
        assert results(OnDevice(), DEVICE, recipes=3) == expected


def without_a_cache() -> None:
    """A teacher that runs at every step trains the same students on both devices."""
    expected = results(Clusters(), "cpu", cached=False, recipes=3)
    with StandInDevice():
        assert results(Clusters(), DEVICE, cached=False, recipes=3) == expected


def check_and_similarity() -> None:
    """`check` finds the same, and `compare` moves batches to the networks and measures the same."""
    spec = StudySpec(name="x", task="x.py:X", train=TRAIN)  # type: ignore[call-arg]
    for task in (Pictures(), Sentences()):
        expected = [finding.code for finding in check(load(task), spec).findings]
        with StandInDevice():
            assert [finding.code for finding in check(load(task, DEVICE), spec).findings] == expected
    loaded = load(Pictures())
    batches, student = list(loaded.train[:][0].split(32)), loaded.new_student(0)
    here = mapsearch.compare(loaded.teacher, student, batches)
    with StandInDevice():
        there = mapsearch.compare(loaded.teacher.to(DEVICE), student.to(DEVICE), batches)
    assert (there.values, there.noise_floor) == (here.values, here.noise_floor)


SHORT: dict[str, Any] = {"train": {"steps": 6}, "search": {"trials": 1}, "confirm": {"seeds": 2}}


def whole_study() -> None:
    """A study from its file to its verdict, in this process."""
    from study_fixtures import EQUAL_TIME, write  # SQLAlchemy and pytest are wanted here alone

    verdicts = []
    with TemporaryDirectory() as folder:
        for device in ("cpu", DEVICE):
            study = write(Path(folder) / device[:3], execution={"devices": [device]}, **SHORT)
            url = f"sqlite:///{Path(folder) / device[:3]}.db"
            if device == "cpu":
                verdicts.append(mapsearch.run_study(mapsearch.load_study(study), url, inline=True))
            else:
                with StandInDevice():
                    verdicts.append(mapsearch.run_study(mapsearch.load_study(study), url, inline=True))
    told = [[row for row in verdict.against if row.control != EQUAL_TIME] for verdict in verdicts]  # clocks decide it
    cpu, there = (
        (verdict.nominee, [(row.control, row.difference, row.p_value) for row in rows])
        for verdict, rows in zip(verdicts, told, strict=True)
    )
    assert there == cpu


class LossOnCpu(Clusters):
    """A mistake: labels stay on the CPU in the loss."""

    def loss(self, output: Any, batch: Any) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(output, batch[1].cpu())


def planted_mistakes() -> None:
    """A loss that is left on the CPU and a cache that returns CPU tensors are caught."""
    with StandInDevice():
        (run,) = results(LossOnCpu(), DEVICE, recipes=1)
        assert run.state == "crashed"
        assert "same device" in run.error
        honest = FeatureCache.get

        def on_the_cpu(cache: FeatureCache, *arguments: Any) -> Any:
            found = honest(cache, *arguments)
            return None if found is None else {name: feature.cpu() for name, feature in found.items()}

        FeatureCache.get = on_the_cpu  # type: ignore[method-assign]
        loaded = load(Clusters(), DEVICE)
        space = make_space(loaded)
        plans = make_plans(Recipe(output_weight=1.0), n_steps=N_STEPS)
        events = list(distill(loaded, space, TRAIN, plans, open_worker_state(loaded, TRAIN)))
        (ended,) = (event for event in events if isinstance(event, RunResult))
        assert ended.state == "crashed"
        assert "same device" in ended.error


SCENARIOS: dict[str, Callable[[], None]] = {
    "clusters": lambda: same_students(Clusters(dropout=0.2)),
    "pictures": lambda: same_students(Pictures()),
    "sentences": lambda: same_students(Sentences()),
    "data on the device": data_on_the_device,
    "without a cache": without_a_cache,
    "check and similarity": check_and_similarity,
    "whole study": whole_study,
    "planted mistakes": planted_mistakes,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        SCENARIOS[name]()
        print(f"{name}: as on the CPU", flush=True)
