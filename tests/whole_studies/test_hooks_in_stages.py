"""A task that goes wrong in every stage of a study, in each of its methods: the study is the undisturbed one."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from faulty_task import OF_A_COHORT, OF_A_STUDENT
from hanging import Clock, Hanging
from study_fixtures import STUDY, merged
from study_processes import check_undisturbed, lost

from mapsearch.controller import run as controller
from mapsearch.controller.run import run
from mapsearch.core.errors import MapsearchError
from mapsearch.core.events import Message
from mapsearch.core.study_file import stored_study
from mapsearch.executors.scheduler import Scheduler
from mapsearch.store.store import Store

TESTS = Path(__file__).parents[1]

WHEN_COMPARED = (
    "student", "collate", "forward", "mask", "labels", "logits", "outputs", "metrics", "metric_objects", "score"
)  # fmt: skip
"""Called in the study's own process after the check: layers are compared, and the untrained student is measured."""

WHEN_LOADED = ("teacher", "student", "train_data", "sample_weights", "valid_data", "test_data")
"""Called while a worker loads the task."""

DEADLY, MILD = ("dies", "hangs"), ("raises", "leaves")
"""What costs a worker, and what does not."""

STAGES = ("tune", "noise", "search", "shortlist", "confirm")


def faults_of(methods, faults, n):
    """So many faults, in a method after the other."""
    return [(methods[i % len(methods)], faults[i % len(faults)]) for i in range(n)]


class Mischief(Hanging):
    """Lets a method go wrong in first attempts of every stage, and in every other load of the task."""

    def __init__(self, setup, clock, file):
        super().__init__(setup, clock, file)
        deadly, mild = (
            faults_of((*OF_A_STUDENT, *OF_A_COHORT), DEADLY, 3 * len(STAGES)),
            faults_of(OF_A_COHORT, MILD, 2 * len(STAGES)),
        )
        self.plan = {stage: deadly[3 * i : 3 * i + 3] + mild[2 * i : 2 * i + 2] for i, stage in enumerate(STAGES)}
        self.loads = faults_of(WHEN_LOADED, DEADLY, len(WHEN_LOADED))
        self.n_starts, self.n_deaths, self.lost = 0, Counter(), []

    def start(self, slot):
        self.n_starts += 1
        if self.n_starts % 2 == 0 and self.loads:
            self.arm(*self.loads.pop(0))
        return super().start(slot)

    def send(self, slot, cohort):
        (plan,) = cohort
        may_die = self.n_deaths[plan.trial] < 2  # a third worker would be held against the trial
        faults = [(method, fault) for method, fault in self.plan[plan.stage] if may_die or fault in MILD]
        if plan.attempt == 1 and faults:
            self.plan[plan.stage].remove(faults[0])
            self.n_deaths[plan.trial] += faults[0][1] in DEADLY
            self.lost.append(plan.key)
            self.arm(*faults[0])
        super().send(slot, cohort)

    def arm(self, method, fault):
        assert self.file.read_text() == "", "the last one came"
        self.file.write_text(f"{method} {fault}")


@pytest.fixture
def file(tmp_path):
    """What the task reads to know when it is to go wrong."""
    (tmp_path / "fault").write_text("")
    return tmp_path / "fault"


@pytest.fixture
def study(file):
    changes = {
        "task": f"{TESTS / 'faulty_task.py'}:Faulty", "options": {"file": str(file)}, "train": {"steps": 40},
        "execution": {"cohort": 1},
    }  # fmt: skip
    return stored_study(merged(STUDY, changes))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_task_that_dies_or_hangs_or_fails_in_each_stage_costs_attempts_and_changes_nothing(
    study, file, url, tmp_path, results, monkeypatch
):
    calm = f"sqlite:///{tmp_path / 'calm.db'}"
    list(run(study, calm, inline=True))
    clock, executors = Clock(), []

    def mischief(setup):
        executors.append(Mischief(setup, clock, file))
        return executors[0]

    monkeypatch.setattr(controller, "LocalExecutor", mischief)
    monkeypatch.setattr(controller, "Scheduler", partial(Scheduler, clock=clock))
    list(run(study, url))
    check_undisturbed(url, calm, results, attempts=(1, 2))
    (executor,) = executors
    assert (file.read_text(), executor.loads, *executor.plan.values()) == ("", [], *([] for _ in STAGES)), "all came"
    assert lost(url) == sorted(executor.lost)


@pytest.mark.parametrize("fault", MILD)
def test_a_method_that_goes_wrong_when_layers_are_compared_fails_the_study_and_the_same_command_goes_on(
    fault, study, file, url
):
    def to(stage):
        updates = run(study, url, inline=True)
        next(update for update in updates if isinstance(update, Message) and update.stage == stage)
        return updates

    for method in WHEN_COMPARED:
        updates = to("compare")
        file.write_text(f"{method} {fault}")
        with pytest.raises(MapsearchError, match=r"\(faulty_task\.py:"):
            list(updates)
        with Store.open_to_read(url) as store:
            assert (store.study("tiny").state, store.study("tiny").n_runs) == ("failed", 0)
    to("tune").close()
