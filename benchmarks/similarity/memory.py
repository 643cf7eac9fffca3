"""Peak memory beyond the forward passes: the resident set's high-water mark, each case in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.similarity.costs import our_measures
from benchmarks.similarity.packages import attempt, present
from benchmarks.similarity.workloads import forward_only, pair_of

NULL = "forward only, again"
LARGE_BLOCKS_GO_BACK = {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}  # else freed tensors stay resident and blur the peaks


def peaks(workload: str, n: int, batch: int, shrink: int = 1) -> dict[str, float]:
    """MiB beyond forward-only, end to end on the real networks."""
    return {who: _in_child(workload, who, n, batch, shrink) for who in (NULL, *our_measures(batch), *present())}


def _in_child(*arguments: object) -> float:
    command = [sys.executable, "-m", "benchmarks.similarity.memory", *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | LARGE_BLOCKS_GO_BACK, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def _peak_of_child(workload: str, who: str, n: int, batch: int, shrink: int) -> float:
    torch.set_num_threads(1)
    pair = pair_of(workload, n, batch, shrink=shrink)
    measures = our_measures(batch) | present()
    forward_only(pair)
    _forget_peak()
    forward_only(pair)
    before = _peak_mib()
    _forget_peak()
    if who == NULL:
        forward_only(pair)
    else:
        attempt(measures[who], pair)
    return _peak_mib() - before


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mib() -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found, "Linux says the resident set's high-water mark in /proc/self/status"
    return int(found[1]) / 1024


if __name__ == "__main__":
    name, case, *numbers = sys.argv[1:]
    print(_peak_of_child(name, case, *map(int, numbers)))
