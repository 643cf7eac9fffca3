"""Training on a pair by the library's own engine: many recipes side by side, a draw of the data and an order each."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import torch
from torch import nn

from mapsearch.check import check, raise_for_errors
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult, Split
from mapsearch.core.similarity import WITH_BIAS, EstimatorName, MeasureName
from mapsearch.core.similarity_spec import SimilaritySpec
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.study_file import load_study
from mapsearch.distill import WorkerState, distill, open_worker_state
from mapsearch.distill.side_by_side import train_side_by_side
from mapsearch.similarity.streaming import measure_layers
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import load_task
from mapsearch.training.calibration import calibrate
from mapsearch.training.student import open_student

N_ORDERS = 10
"""Seeds of one draw: they differ in the order of its samples alone."""
N_SIMILARITY = 512
COHORT = 24


@dataclass(frozen=True)
class DrawnApart(LoadedTask):
    """A task whose seeds `10 d` to `10 d + 9` share the draw `d` of the training samples."""

    def drawn(self, seed: int) -> LoadedTask:
        """The task with the samples of that seed's draw."""
        return super().drawn(seed // N_ORDERS)


@dataclass(frozen=True)
class OpenPair:
    """A pair, ready to train."""

    spec: StudySpec
    loaded: LoadedTask
    space: RecipeSpace
    worker_state: WorkerState

    @property
    def sign(self) -> float:
        """What makes more better."""
        return 1.0 if self.spec.direction == "maximize" else -1.0

    def values(self, recipes: Sequence[Recipe], seed: int, part: float, split: Split) -> list[float]:
        """The metric of each recipe's student, its sign turned where less is better; nan where a run failed."""
        n_steps = max(5, round(part * self.spec.train.steps))
        plans = [RunPlan(i, r, 0, seed, "search", split, n_steps) for i, r in enumerate(recipes)]
        found = dict[int, float]()
        for event in distill(self.loaded, self.space, self.spec.train, plans, self.worker_state):
            if isinstance(event, RunResult):
                complete = event.state == "complete"
                found[event.key[0]] = self.sign * event.metrics[self.spec.metric] if complete else float("nan")
        return [round(found[i], 6) for i in range(len(recipes))]


def open_pair(study: Path, cache: Path, settings: Sequence[str] = ()) -> OpenPair:
    """Load and check the pair of a study file."""
    spec = load_study(study, settings)
    cache.mkdir(parents=True, exist_ok=True)
    loaded = load_task(spec.task_reference(cache), spec.execution)
    report = check(loaded, spec)
    raise_for_errors(report)
    loaded.task.output_form = report.outputs
    space = RecipeSpace(report.student, report.teacher)
    apart = DrawnApart(**{field.name: getattr(loaded, field.name) for field in fields(LoadedTask)})
    return OpenPair(spec, apart, space, open_worker_state(apart, spec.train, spec.execution.cache_bytes))


def trained(opened: OpenPair, recipe: Recipe, seed: int) -> nn.Module:
    """The student of one full training."""
    plan = RunPlan(0, recipe, 0, seed, "search", "valid", opened.spec.train.steps)
    loaded, train, state = opened.loaded.drawn(seed), opened.spec.train, opened.worker_state
    cohort = [open_student(loaded, opened.space, train, plan, state.memory_format)]
    with ExitStack() as stack:
        list(calibrate(loaded, train, cohort, state.cache, stack))
        list(train_side_by_side(loaded, train, cohort, state))
    return cohort[0].measured


def similarities(opened: OpenPair, students: dict[str, nn.Module]) -> dict[str, dict[str, list[list[float]]]]:
    """By student, and by measure and estimator: raw values, and standardised as the search's prior has them.

    On validation samples: training samples are as few as the pair has it.
    """
    kinds: list[tuple[MeasureName, EstimatorName]] = [(m, "debiased") for m in get_args(MeasureName)]
    kinds += [(m, "biased") for m in WITH_BIAS]
    found = dict[str, dict[str, list[list[float]]]]()
    for name, student in students.items():
        found[name] = {}
        for measure, estimator in kinds:
            options = SimilaritySpec(measure=measure, estimator=estimator, samples=N_SIMILARITY)
            values = _similarity(opened, student, options)
            key = f"{measure}, biased" if estimator == "biased" else measure
            found[name][key] = _rounded(values.values)
            if key == "cka":
                found[name]["cka, as the prior"] = _rounded(values.z())
    return found


def _similarity(opened: OpenPair, student: nn.Module, options: SimilaritySpec) -> Any:
    loaded, space = opened.loaded, opened.space
    batches = ordered_batches(loaded, loaded.valid, 64, options.samples, 0)
    with torch.no_grad():
        return measure_layers(
            loaded.teacher, student, batches, space.teacher, space.student,
            loaded.task.forward, loaded.task.mask, options, 0,
        )  # fmt: skip


def _rounded(values: Any) -> list[list[float]]:
    return [[round(float(value), 4) for value in row] for row in values]
