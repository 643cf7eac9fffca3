"""Whether a process is dead is said only where it can be proven: never of one that cannot be seen from here."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
from containers import container

from mapsearch.store.process import Process, is_dead, this_process

CHILD = "import mapsearch.store.process as p; print(p.this_process(), flush=True); input()"

provable = pytest.mark.skipif(this_process().boot_id is None, reason="deaths are proven by /proc")


def test_this_process_lives() -> None:
    here = this_process()
    assert here.pid == os.getpid()
    assert not is_dead(here)
    assert this_process() == here, "it is told apart by what does not change"


@provable
def test_another_process_is_dead_when_it_ended_also_while_nobody_has_asked_how() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        process = eval(child.stdout.readline(), {"Process": Process})
        assert process.pid == child.pid
        assert not is_dead(process)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie now
        assert is_dead(process)
    assert is_dead(process)


@provable
def test_a_later_process_of_the_same_number_is_another() -> None:
    assert is_dead(replace(this_process(), started=1))


@provable
@pytest.mark.parametrize(
    "elsewhere",
    [
        {"host": "another"},
        {"boot_id": "another"},
        {"pid_namespace": "pid:[1]"},
        {"boot_id": None},
        {"pid_namespace": None},
        {"started": None},
    ],
)
def test_one_that_cannot_be_seen_from_here_is_not_said_to_be_dead(elsewhere: dict[str, str | None]) -> None:
    ended = replace(this_process(), pid=2**22 + 1)  # no process of that number can exist here
    assert is_dead(ended)
    assert not is_dead(replace(ended, **elsewhere))  # type: ignore[arg-type]


@provable
def test_where_the_processes_shown_are_those_of_another_namespace_no_death_is_proven() -> None:
    command = [*container("other", own_proc=False), sys.executable, "-c", CHILD]
    said = subprocess.run(command, input="\n", capture_output=True, text=True, check=True).stdout
    inside = eval(said, {"Process": Process})
    assert (inside.host, inside.pid) == ("other", 1)
    assert inside.pid_namespace is None
