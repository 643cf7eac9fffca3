"""Workers that stand still, as after `kill -STOP`: they are replaced, and what they say later is not counted."""

import signal
from functools import partial

import pytest
from study_processes import check_undisturbed, lost

from mapsearch.controller import run as controller
from mapsearch.executors import local
from mapsearch.executors.local import LocalExecutor
from mapsearch.executors.scheduler import Scheduler

STAGES = {"tune", "noise", "search", "shortlist", "confirm"}
"""Those in which workers train."""


class Stopping(LocalExecutor):
    """Stops the worker of the first cohort of each stage, and lets no time pass but while one stands still.

    Every other one goes on when it is given up, and gives its answer before it is ended.
    """

    now = 0.0

    def __init__(self, setup):
        super().__init__(setup)
        self.stopped, self.late, self.lost = {}, set(), []

    def send(self, slot, cohort):
        super().send(slot, cohort)
        if cohort[0].stage not in self.stopped:
            process = self._workers[slot].process
            process.send_signal(signal.SIGSTOP)
            self.late |= {process} if len(self.stopped) % 2 else set()
            self.stopped[cohort[0].stage] = process
            self.lost += [plan.key for plan in cohort]

    def poll(self, seconds):
        messages = super().poll(seconds)
        if not messages and any(process.poll() is None for process in self.stopped.values()):
            self.now += self._setup.execution.stall_seconds / 2
        return messages

    def stop(self, slot):
        worker = self._workers[slot]
        if worker.process in self.late:
            worker.process.send_signal(signal.SIGCONT)
            assert worker.connection.poll(60), "it answers"
        super().stop(slot)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_worker_that_stands_still_in_any_stage_is_replaced_and_its_late_answer_not_counted(
    spec, url, finished, results, monkeypatch
):
    executors = []

    def stopping(setup):
        executors.append(Stopping(setup))
        return executors[0]

    monkeypatch.setattr(local, "GRACE_SECONDS", 0.5)  # those that stand still do not leave when they are asked to
    monkeypatch.setattr(controller, "LocalExecutor", stopping)
    monkeypatch.setattr(controller, "Scheduler", partial(Scheduler, clock=lambda: executors[0].now))
    list(controller.run(spec(), url))
    check_undisturbed(url, finished[1], results, attempts=(1, 2))
    (executor,) = executors
    assert set(executor.stopped) == STAGES
    assert lost(url) == sorted(executor.lost)
    assert {run.key for run in results(url)[1] if run.attempt > 1} == set(executor.lost)
    ends = {process.returncode for process in executor.stopped.values()}
    assert ends == {-signal.SIGTERM, -signal.SIGKILL}, "of those that went on, and of those that did not"
