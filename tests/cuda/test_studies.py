"""Check, similarity, memory forecast and whole studies on a CUDA device."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_tasks import Clusters, ConvolutionNet, Pictures, Sentences, load, make_plans, make_space
from torch import nn
from torch.utils.data import TensorDataset

import mapsearch
from mapsearch.check import check
from mapsearch.check.steps import open_steps
from mapsearch.controller.run import run_study
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.spec import StudySpec
from mapsearch.core.study_file import load_study
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import WorkerState, distill
from mapsearch.tasks.task import Task
from mapsearch.tasks.training_batches import train_batches
from mapsearch.training.memory import state_bytes, step_memory

pytestmark = pytest.mark.cuda

SPEC = StudySpec(name="x", task="x.py:X", train=TrainSpec(steps=40, batch_size=16))  # type: ignore[call-arg]


@pytest.mark.parametrize("task", [Clusters, Pictures, Sentences])
def test_check_finds_no_error(device: str, task: type[Task]) -> None:
    assert not check(load(task(), device), SPEC).errors


@pytest.mark.usefixtures("rounded_products")
@pytest.mark.parametrize("task", [Clusters, Pictures, Sentences])
def test_products_in_tf32_do_not_break_the_self_test(device: str, task: type[Task]) -> None:
    assert not check(load(task(), device), SPEC).errors


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("measure", ["cka", "rbf_cka", "distance_correlation", "rsa", "procrustes", "svcca"])
def test_similarity_is_that_of_the_cpu(device: str, measure: Any) -> None:
    loaded = load(Pictures(), "cpu")
    batches, student = list(loaded.train[:][0].split(32)), loaded.new_student(0)
    here = mapsearch.compare(loaded.teacher, student, batches, measure=measure)
    there = mapsearch.compare(loaded.teacher.to(device), student.to(device), batches, measure=measure)
    assert torch.tensor(there.values).allclose(torch.tensor(here.values), atol=1e-4)


def study(write_study: Callable[..., Path], device: str) -> StudySpec:
    return load_study(write_study(execution={"devices": [device]}))


def test_a_whole_study_in_this_process(device: str, write_study: Callable[..., Path], url: str) -> None:
    assert run_study(study(write_study, device), url, inline=True).sentence


def test_a_whole_study_with_a_worker(device: str, write_study: Callable[..., Path], url: str) -> None:
    assert run_study(study(write_study, device), url).sentence


class LargePictures(Pictures):
    """Pictures whose activations outweigh the weights."""

    def student(self) -> nn.Module:
        return ConvolutionNet(64, 4)

    def _pictures(self, n: int, seed: int) -> TensorDataset:
        x, y = super()._pictures(n, seed).tensors
        return TensorDataset(x.repeat(1, 1, 12, 12), y)


def test_the_memory_of_a_cohort_is_about_what_was_forecast(cuda: str) -> None:
    loaded, train = load(LargePictures(), cuda), TrainSpec(steps=6, batch_size=64, precision="float32")
    space, n_students = make_space(loaded), 4
    batch = next(train_batches(loaded, train.batch_size, 0, 1))
    recipes = [Recipe(output_weight=1.0, temperature=1.0 + i) for i in range(n_students)]
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    results = [
        e
        for e in distill(loaded, space, train, make_plans(*recipes, n_steps=6), WorkerState())
        if isinstance(e, RunResult)
    ]
    taken = torch.cuda.max_memory_allocated() - before
    assert [run.state for run in results] == ["complete"] * n_students
    with open_steps(loaded, SPEC.model_copy(update={"train": train}), space, recipes[0], batch, ()) as steps:
        steps.train()
        networks = steps.training.student, steps.training.loss
        with step_memory(loaded.device, *networks) as step:
            steps.train()
        forecast = n_students * state_bytes(networks, train.optimizer) + step.n_bytes
    assert 0.6 < taken / forecast < 1.5
