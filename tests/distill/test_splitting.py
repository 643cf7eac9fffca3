"""A cohort that does not fit into memory goes on in smaller ones."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_tasks import Clusters, Crowded, Net, load, make_plans, make_space

from mapsearch.core.events import Progress
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import CohortSplit, WorkerState, distill, slices, train_cohort
from mapsearch.distill.splitting import halves

TRAIN = TrainSpec(steps=12, batch_size=16, lr=5e-3)
PAIR = Recipe(LayerMapping((Pair("blocks.0", "blocks.1", 1.0),)), feature_share=0.5, output_weight=1.0)
PLANS = make_plans(*[PAIR] * 5)


def test_a_cohort_is_halved_and_a_lone_run_divided():
    assert halves(PLANS, 16) == (PLANS[:2], PLANS[2:])
    (alone,) = halves(PLANS[:1], 16)
    assert alone == (replace(PLANS[0], n_parts=2),)
    assert halves([replace(PLANS[0], n_parts=4)], 16)[0][0].n_parts == 8
    assert halves([replace(PLANS[0], n_parts=8)], 16) == ()  # parts of one sample have no batch statistics
    assert slices(PLANS, 2) == (PLANS[:2], PLANS[2:4], PLANS[4:])


def _results(loaded, space, *plans):
    return (event for event in distill(loaded, space, TRAIN, plans) if isinstance(event, RunResult))


class Wide(Net):
    """Has room for so many samples at once."""

    most = 0

    def forward(self, x):
        if len(x) > self.most:
            raise torch.OutOfMemoryError(f"{len(x)} samples, but room for {self.most}")
        return super().forward(x)


class Narrow(Clusters):
    def __init__(self, most):
        super().__init__()
        self.most = most

    def student(self):
        student = Wide(8, 2)
        student.most = self.most
        return student


def test_a_lone_run_trains_in_parts_and_says_so():
    loaded = load(Narrow(16))
    space, (plan,) = make_space(loaded), make_plans(PAIR)
    (whole,) = _results(loaded, space, plan)
    loaded.task.most = 5
    events = list(distill(loaded, space, TRAIN, [plan]))
    (run,) = (event for event in events if isinstance(event, RunResult))
    assert run.state == "complete"
    (note,) = run.notes
    assert "memory" in note
    assert "4 parts" in note
    assert [event.step for event in events if isinstance(event, Progress)] == [10, 12]
    assert run.first_loss == pytest.approx(whole.first_loss, rel=0.3)


class Plain(Narrow):
    """Without anything that is computed over a batch."""

    def student(self):
        student = super().student()
        for block in student.blocks:
            block.norm = torch.nn.Identity()
        return student


def test_parts_add_up_to_the_batch():
    """Where nothing is computed over a batch, the gradient of the parts is that of the whole."""
    recipe = Recipe(PAIR.mapping, loss="cosine", feature_share=0.5, output_weight=1.0)
    (plan,), loaded = make_plans(recipe), load(Plain(16))
    space = make_space(loaded)
    whole, parted = (next(_results(loaded, space, replace(plan, n_parts=n))) for n in (1, 4))
    assert parted.metrics == pytest.approx(whole.metrics, rel=1e-4)
    assert [loss for _, loss in parted.curve] == pytest.approx([loss for _, loss in whole.curve], rel=1e-4)
    assert parted.first_loss == pytest.approx(whole.first_loss, rel=1e-5)


def test_a_run_that_fits_in_no_way_is_oom():
    loaded = load(Narrow(16))
    space = make_space(loaded)
    loaded.task.most = 1
    (run,) = distill(loaded, space, TRAIN, make_plans(PAIR))
    assert run.state == "oom"
    told = ("out of memory with batch size 16 in 8 parts", "`train.batch_size`", "2 samples, but room for 1")
    assert all(part in run.error for part in told)


def test_in_one_go_the_last_word_is_how_to_go_on():
    loaded = load(Crowded(9))
    space = make_space(loaded)
    loaded.task.room.limit = 2
    *_, last = train_cohort(loaded, space, TRAIN, PLANS, WorkerState())
    assert last == CohortSplit(
        (PLANS[:2], PLANS[2:]),
        "out of memory with batch size 16 (a smaller `train.batch_size` takes less): 5 students, but room for 2",
    )


def test_a_cohort_that_will_not_fit_is_split_before_it_starts(monkeypatch):
    loaded = load(Clusters())
    space = make_space(loaded)
    monkeypatch.setattr("mapsearch.distill.cohort.free_bytes", lambda device: 9_000)  # a student takes 4 kB
    events = list(train_cohort(loaded, space, TRAIN, PLANS, WorkerState()))
    assert [type(event) for event in events] == [CohortSplit]
    assert max(map(len, events[0].cohorts)) < 5
    assert [plan for cohort in events[0].cohorts for plan in cohort] == list(PLANS)
    (tight,) = train_cohort(loaded, space, TRAIN, PLANS, WorkerState(step_bytes=9_000))
    assert [len(cohort) for cohort in tight.cohorts] == [1] * 5  # what a step was seen to take counts


def test_what_a_step_takes_is_remembered():
    loaded, worker_state = load(Clusters()), WorkerState()
    list(distill(loaded, make_space(loaded), TRAIN, PLANS[:1], worker_state))
    assert 16 * 8 * 4 < worker_state.step_bytes < 100_000


LIMITED = """
import resource, sys
import torch
from torch import nn
from small_tasks import Clusters, Net, load, make_plans, make_space
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunResult
from mapsearch.core.train_spec import TrainSpec
from mapsearch.distill import distill

class Fat(Net):
    def forward(self, x):
        if self.training:
            x = x + (x.unsqueeze(-1) + torch.zeros(400_000)).exp().mean(-1)  # 12.8 MB per sample, and again for exp
        return super().forward(x)

class Greedy(Clusters):
    def student(self):
        return Fat(8, 2)

loaded = load(Greedy())
space, plans = make_space(loaded), make_plans(Recipe(), n_steps=2)
list(distill(loaded, space, TrainSpec(steps=5, batch_size=2), plans))  # what a first step needs for good
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]) * 2**20,) * 2)
(run,) = (e for e in distill(loaded, space, TrainSpec(steps=5, batch_size=16), plans) if isinstance(e, RunResult))
print(run.state, *run.notes, run.error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
@pytest.mark.parametrize(
    ("megabytes", "said"),
    [
        (300, "complete too little memory for whole batches"),
        pytest.param(1500, "complete", marks=pytest.mark.slow),
        pytest.param(16, "oom out of mem", marks=pytest.mark.slow),
    ],
)
def test_under_a_real_limit_on_memory(megabytes, said):
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LIMITED, str(megabytes)], capture_output=True, text=True, check=False,
        env={"PYTHONPATH": f"{Path(__file__).parents[1]}:{Path(__file__).parents[2]}", "OMP_NUM_THREADS": "1",
             # a fixed threshold: what is freed goes back, so the limit leaves what it says, not what the heap kept
             "MALLOC_MMAP_THRESHOLD_": "131072"},
    )  # fmt: skip
    assert found.stdout.startswith(said), found.stderr
