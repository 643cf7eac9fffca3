"""Whole studies on a small disk that others fill up meanwhile: every run ends once, the verdict is the same."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress

import pytest
from study_processes import check_undisturbed, end, hear

pytestmark = pytest.mark.slow

NO_RIGHT = "needs the right to mount"


@pytest.fixture
def disk(tmp_path):
    """The folder of a disk of a few MB; the study's database is on it, and with that its caches."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"{NO_RIGHT}: {mounted.stderr.splitlines()[0]}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def full(disk):
    """Not a byte of the disk is free."""
    with suppress(OSError), (disk / "ballast").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    yield
    (disk / "ballast").unlink()


@pytest.fixture
def url(disk):
    return f"sqlite:///{disk / 'study.db'}"


@pytest.fixture
def begin(mapsearch, hold, write_study, url):
    """`begin()` -> `mapsearch run` of a study that is held; called again, the same command."""

    def run():
        hold.begin()
        return mapsearch("run", write_study(task="task.py:Held"), "--storage", url)

    return run


def test_a_disk_that_fills_up_in_the_beginning_the_middle_and_the_end(begin, hold, disk, url, finished, results):
    process = begin()
    for stage in ("check", "search", "confirm"):
        hold.reach(stage)
        with full(disk):
            hold.release()
            hear(process, "the study waits for it")
            hold.begin()
        hear(process, "results kept meanwhile are written")
    hold.release()
    code, said = end(process)
    assert code == 0, said
    check_undisturbed(url, finished[1], results)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_study_that_is_ended_while_its_disk_is_full(number, begin, hold, disk, url, finished, results):
    process = begin()
    hold.reach("search")
    with full(disk):
        hold.release()
        hear(process, "the study waits for it")
        os.kill(process.pid, number)
        code, said = end(process)
        assert code == (130 if number == signal.SIGINT else -number), said
    process = begin()
    hold.release()
    code, said = end(process)
    assert code == 0, said
    check_undisturbed(url, finished[1], results, attempts=(1, 2))


@pytest.mark.skipif(os.geteuid() == 0, reason="root has mounted the disks of the tests above")
def test_the_same_for_a_user_who_is_root_in_a_namespace_only(tmp_path):
    tests = [sys.executable, "-m", "pytest", "-m", "slow", "-rs", "--basetemp", tmp_path / "inside", __file__]
    ended = subprocess.run(["unshare", "--map-root-user", "--mount", *tests], capture_output=True, text=True)
    if ended.stderr.startswith("unshare"):
        pytest.skip(ended.stderr.strip())
    if NO_RIGHT in ended.stdout:
        pytest.skip(f"{NO_RIGHT}, not even there")
    assert ended.returncode == 0, ended.stdout
