"""What pages and calls of the service cost beside a large finished study: CPU seconds of its process, per request.

python -m benchmarks.service [--trials 10000] [--runs-per-trial 10] [--quick]

Writes recorded/service-DATE.md and .json, unless quick.
"""

import argparse
import http.client
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from benchmarks.machine import machine_name
from benchmarks.read_models import fill
from benchmarks.recording import RECORDED, record

PATHS = (
    "/", "/studies/large", "/studies/large/trials", "/api/v1/studies", "/api/v1/studies/large?limit=100",
    "/api/v1/studies/large/overview", "/api/v1/studies/large/runs?limit=100", "/api/v1/studies/large/events",
)  # fmt: skip
REPEATS = 5


def measure(n_trials: int, n_runs: int, repeats: int) -> list[dict[str, Any]]:
    """A row for each path: the median of its CPU seconds, and the bytes of its answer."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/study.db"
        fill(url, n_trials, n_runs)
        with serving(url) as (pid, port, token):
            return [_row(pid, port, token, path, repeats) for path in PATHS]


@contextmanager
def serving(url: str) -> Iterator[tuple[int, int, str]]:
    """The process id, port and token of a service of that database, which ends with the `with` statement."""
    command = [sys.executable, "-m", "mapsearch", "serve", "--port", "0", "--storage", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            link = urlsplit(process.stdout.readline().strip())
            yield process.pid, link.port or 0, re.sub("^token=", "", link.query)
        finally:
            process.kill()


def _row(pid: int, port: int, token: str, path: str, repeats: int) -> dict[str, Any]:
    seconds, n_bytes = [], 0
    for _ in range(repeats + 1):
        before = _cpu_seconds(pid)
        n_bytes = _get(port, token, path)
        seconds.append(_cpu_seconds(pid) - before)
    return {"path": path, "cpu_seconds": median(seconds[1:]), "first_cpu_seconds": seconds[0], "bytes": n_bytes}


def _get(port: int, token: str, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, (path, answer.status, body[:200])
    return len(body)


def _cpu_seconds(pid: int) -> float:
    """User and system time of all threads of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def page(numbers: dict[str, Any], date: str) -> str:
    """The record as Markdown."""
    rows = [
        f"| `GET {row['path']}` | {row['cpu_seconds']:.2f} | {row['first_cpu_seconds']:.2f} | {row['bytes']:,} |"
        for row in numbers["rows"]
    ]
    return "\n".join(
        [
            f"# The service, {date}",
            "",
            f"`python -m benchmarks.service`: a finished study of {numbers['n_trials']:,} trials and "
            f"{numbers['n_runs']:,} runs in SQLite, {numbers['machine']}, other work beside it.",
            "CPU seconds of the service's process per request (in steps of a hundredth), the median of "
            f"{numbers['repeats']} after a first one; the bars are 0.3 seconds and a million bytes.",
            "",
            "| request | CPU seconds | the first | bytes |",
            "| --- | ---: | ---: | ---: |",
            *rows,
        ]
    )


def main() -> None:
    """Fill a database, ask the service for every path, print the page and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--runs-per-trial", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="a smoke test: 20 trials, once, nothing recorded")
    options = parser.parse_args()
    n_trials, repeats = (20, 1) if options.quick else (options.trials, REPEATS)
    rows = measure(n_trials, options.runs_per_trial, repeats)
    counts = {"n_trials": n_trials, "n_runs": n_trials * options.runs_per_trial, "repeats": repeats}
    numbers = {**counts, "machine": machine_name(), "rows": rows}
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    print(page(numbers, date))
    if not options.quick:
        record(RECORDED, f"service-{date}", page(numbers, date), numbers)


if __name__ == "__main__":
    main()
