import os
import subprocess
import sys
from pathlib import Path

import pytest

from mapsearch.tasks.control_groups import group_bytes_left


def group(folder, limit, used, droppable, version):
    names = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        2: ("memory.max", "memory.current", ""),
    }[version]
    files = f"{names[2]}active_file {droppable - 4}\n{names[2]}inactive_file 4"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 5\n{files}\nfile 9\n")


def left(tmp_path, line):
    (tmp_path / "groups").write_text(line)
    return group_bytes_left(tmp_path / "groups", tmp_path / "mounted")


def test_the_group_or_one_above_it_limits_and_files_that_can_be_dropped_count_as_left(tmp_path):
    mounted = tmp_path / "mounted"
    group(mounted / "job", 1000, 600, 50, version=2)
    group(mounted / "job" / "step", "max", 300, 10, version=2)
    assert left(tmp_path, "0::/job/step\n") == 450
    group(mounted / "job" / "step", 400, 300, 10, version=2)
    assert left(tmp_path, "0::/job/step\n") == 110
    group(mounted / "job" / "step", 400, 500, 10, version=2)
    assert left(tmp_path, "0::/job/step\n") == 0


def test_of_version_1_the_memory_controller_limits_also_where_the_groups_outside_are_not_seen(tmp_path):
    mounted = tmp_path / "mounted"
    group(mounted / "memory", 1000, 600, 50, version=1)
    assert left(tmp_path, "5:cpu,cpuacct:/a\n4:memory:/docker/0123\n0::/\n") == 450
    group(mounted / "memory", 2**63 - 4096, 600, 50, version=1)
    assert left(tmp_path, "4:memory:/docker/0123\n") is None


@pytest.mark.parametrize("name", ["memory.max", "memory.current", "memory.stat"])
def test_a_group_that_says_nothing_limits_nothing(tmp_path, name):
    group(tmp_path / "mounted", 1000, 600, 50, version=2)
    (tmp_path / "mounted" / name).write_text("odd")
    assert left(tmp_path, "0::/\n") is None


def test_where_there_are_no_groups_nothing_limits(tmp_path):
    assert group_bytes_left(tmp_path / "none", tmp_path) is None
    assert left(tmp_path, "0::/\n") is None


@pytest.mark.skipif(not Path("/proc/self/cgroup").exists(), reason="only Linux has control groups")
def test_a_real_limit_is_what_is_free():
    (line,) = [line for line in Path("/proc/self/cgroup").read_text().splitlines() if ":memory:" in line] or [""]
    folder = Path("/sys/fs/cgroup/memory", line.rpartition(":")[2].lstrip("/"), f"test-{os.getpid()}")
    try:
        folder.mkdir()
        (folder / "memory.limit_in_bytes").write_text(str(2**30))
    except OSError as error:
        pytest.skip(f"no group can be made here: {error}")
    code = (
        "import torch; from mapsearch.tasks.memory import free_bytes; from pathlib import Path; import os;"
        f"Path({str(folder)!r}, 'cgroup.procs').write_text(str(os.getpid())); kept = torch.ones(2**26);"
        "print(free_bytes(torch.device('cpu')))"
    )
    try:
        free = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    finally:
        folder.rmdir()
    assert 2**29 < free < 2**30 - 2**28
