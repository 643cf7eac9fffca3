"""`python -m benchmarks.gpu`: tests and measurements on a CUDA device, in at most eight minutes, recorded as they come.

Every part runs in a process of its own, with a time limit of its own: what one part breaks, or does not finish, costs
the others nothing. The record is written anew after every row. Without a CUDA device nothing is done.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from threading import Timer
from typing import Any

import torch

import mapsearch
from benchmarks.gpu.page import page
from benchmarks.machine import machine_name

ROOT = Path(__file__).parents[2]
SECONDS = {"tests": 120, "memory": 60, "cohort modes": 25, "similarity": 25, "throughput": 100, "replays": 170}
"""Parts in their order, and the most seconds of each; all of them together end after `--minutes`."""


def main() -> None:
    """Parse, run the parts one after the other, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "recorded", help="folder to write to")
    parser.add_argument("--device", default="cuda", help="cuda; cpu runs the same code, to test it")
    parser.add_argument("--quick", action="store_true", help="a smoke test: tiny sizes, seconds")
    parser.add_argument("--minutes", type=float, default=8.0, help="of all parts together")
    parser.add_argument("--only", nargs="*", choices=SECONDS, help="run these parts, keep the rest of today's record")
    chosen = parser.parse_args()
    if chosen.device.startswith("cuda") and not torch.cuda.is_available():
        print("no CUDA device here: nothing is measured")
        return
    chosen.out.mkdir(parents=True, exist_ok=True)
    file = chosen.out / f"gpu-{date.today().isoformat()}.json"
    record = json.loads(file.read_text(encoding="utf-8")) if chosen.only and file.exists() else {"parts": {}}
    record["about"] = about(chosen.device, chosen.quick)
    deadline = time.monotonic() + 60 * chosen.minutes
    for part in chosen.only or SECONDS:
        left = deadline - time.monotonic()
        seconds = left if chosen.quick else min(SECONDS[part], left)  # how fast a CPU is must not fail a smoke test
        run_part(part, chosen.device, chosen.quick, seconds, record, file)
    print(f"written: {file.with_suffix('.md')}", flush=True)


def about(device: str, quick: bool) -> dict[str, Any]:
    """When, where and with what the numbers were taken."""
    return {
        "date": date.today().isoformat(),
        "command": f"python -m benchmarks.gpu --device {device}{' --quick' if quick else ''}",
        "machine": machine_name(device),
        "cores": os.cpu_count(),
        "CUDA": torch.version.cuda,
        "versions": f"mapsearch {mapsearch.__version__}, torch {torch.__version__}, Python {platform.python_version()}",
    }


def run_part(part: str, device: str, quick: bool, seconds: float, record: dict[str, Any], file: Path) -> None:
    """Run one part in a process; each of its rows is printed and recorded at once, and so is how it ended."""
    began, rows = time.monotonic(), []
    entry = record["parts"][part] = {"ended": "not started: no time left", "seconds": 0.0, "rows": rows}
    print(f"{part}: at most {max(0.0, seconds):.0f} s", flush=True)
    if seconds > 0:
        entry["ended"] = "cut off while it ran"
        command = [sys.executable, "-m", "benchmarks.gpu.parts", part, "--device", device]
        for line in lines_of([*command, *(["--quick"] if quick else [])], seconds, entry):
            print(f"  {line}", flush=True)
            if line.startswith("{"):
                rows.append(json.loads(line))
                write(record, file)
    entry["seconds"] = round(time.monotonic() - began, 1)
    print(f"{part}: {entry['ended']} after {entry['seconds']} s", flush=True)
    write(record, file)


def lines_of(command: list[str], seconds: float, entry: dict[str, Any]) -> Iterator[str]:
    """What a command prints, as it comes; it is killed with its children when its time is over."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        timer = Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        tail = ""
        for line in process.stdout:
            tail = line.strip() or tail
            yield line.rstrip()
        timer.cancel()
        code = process.wait()
    if code == -signal.SIGKILL:
        entry["ended"] = f"cut off after its {seconds:.0f} s"
    else:
        entry["ended"] = "complete" if code == 0 else f"exit code {code}: {tail}"


def write(record: dict[str, Any], file: Path) -> None:
    """The record as JSON and as a page."""
    file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    file.with_suffix(".md").write_text(page(record), encoding="utf-8")


if __name__ == "__main__":
    main()
