"""What fifty readers of the service cost a study that is under way: the real loop and a real service.

python -m benchmarks.readers [--readers 50] [--trials 500] [--pairs 6] [--storage URL] [--quick]

Loop, store, sampler, Optuna's record and service are the product's own; a training is a sleep, since what it takes
from the cores is the machine's affair. Blocks of trials with and without readers alternate. Each reader follows the
study as its page does, by the stream of events, and opens another page every few seconds. Writes
recorded/readers-DATE.md and .json, unless quick.
"""

import argparse
import http.client
import multiprocessing
import os
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import cycle, islice
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.recording import report_on_database
from benchmarks.scaling import OUTPUTS, InstantExecutor, searching, spec_of
from benchmarks.service import serving
from mapsearch.controller import proposals
from mapsearch.core.trials import Trial
from mapsearch.executors.base import WorkerMessage

NAME = "read"
PAGES = (
    f"/studies/{NAME}", f"/studies/{NAME}/trials", "/", f"/studies/{NAME}/trials/3", f"/api/v1/studies/{NAME}?limit=50",
    f"/studies/{NAME}/trials?order=number&page=2", f"/api/v1/studies/{NAME}/runs?limit=100",
)  # fmt: skip
BATCH = 4
"""Trials that the loop proposes at once; their results come together, so that blocks are of whole batches."""


class SleepingExecutor(InstantExecutor):
    """A training takes so many seconds of the clock and none of the cores."""

    def __init__(self, seconds: float) -> None:
        super().__init__(n_workers=1)
        self._seconds = seconds

    def poll(self, seconds: float) -> Sequence[tuple[int, WorkerMessage]]:
        time.sleep(self._seconds * sum(map(len, self._held.values())))
        return super().poll(seconds)


def read(port: int, token: str, n_readers: int, pause: float, reading: Event, ending: Event, counts: Any) -> None:
    """The process of the readers: while `reading` is set they read; in the end what they got is put into `counts`."""
    tally: Counter[str] = Counter()
    readers = [
        threading.Thread(target=_read, args=(number, port, token, pause, reading, ending, tally))
        for number in range(n_readers)
    ]
    for reader in readers:
        reader.start()
    counts.put("ready")
    for reader in readers:
        reader.join()
    counts.put(tally)


def _read(number: int, port: int, token: str, pause: float, reading: Event, ending: Event, tally: Any) -> None:
    pages = islice(cycle(PAGES), number, None)
    while not ending.is_set():
        if not reading.wait(0.1):
            continue
        try:
            _get(port, token, next(pages))
            tally["pages"] += 1
            _follow(port, token, pause, reading, tally)
        except (OSError, http.client.HTTPException, AssertionError) as error:
            tally[f"{type(error).__name__}: {error}"[:200]] += 1


def _follow(port: int, token: str, pause: float, reading: Event, tally: Any) -> None:
    """The stream of events until the next page is due, and with each of them what changes of the study's page."""
    began = time.monotonic()
    with _answer(port, token, f"/api/v1/studies/{NAME}/events/stream") as stream:
        while reading.is_set() and time.monotonic() - began < pause:
            if stream.readline().startswith(b"event: "):
                _get(port, token, f"/studies/{NAME}/live")
                tally["updates"] += 1


def _get(port: int, token: str, path: str) -> None:
    with _answer(port, token, path) as answer:
        answer.read()


@contextmanager
def _answer(port: int, token: str, path: str) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        assert answer.status == 200, (path, answer.status, answer.read(200))
        yield answer


def measure(url: str, n_readers: int, n_trials: int, n_pairs: int, n_batches: int, seconds: float, pause: float) -> Any:
    """Seconds of a trial in each block, in pairs without and with readers, beside what these read and met."""
    spec = spec_of(NAME, n_trials + 2 * n_pairs * n_batches * BATCH)
    processes = multiprocessing.get_context("spawn")
    reading, ending, counts = processes.Event(), processes.Event(), processes.Queue()
    with searching(url, spec, n_trials, SleepingExecutor(seconds)) as context, serving(url) as (_, port, token):
        arguments = (port, token, n_readers, pause, reading, ending, counts)
        readers = processes.Process(target=read, args=arguments, daemon=True)  # it ends with a study that fails
        readers.start()
        assert counts.get(timeout=120) == "ready"
        updates = proposals.try_proposals(context, OUTPUTS)
        ended = (item for item in updates if isinstance(item, Trial) and item.number >= n_trials)
        times: dict[bool, list[float]] = {False: [], True: []}
        for number in range(2 * n_pairs):
            are_reading = number % 4 in (1, 2)  # with readers second, then first: a machine that drifts favours none
            (reading.set if are_reading else reading.clear)()
            times[are_reading].append(_seconds_of_a_trial(ended, n_batches))
        ending.set()
        tally = counts.get(timeout=120)
        readers.join()
    read_without_trouble = {"pages": tally.pop("pages", 0), "updates": tally.pop("updates", 0)}
    return {"quiet_seconds": times[False], "read_seconds": times[True], **read_without_trouble, "errors": dict(tally)}


def _seconds_of_a_trial(ended: Iterator[Trial], n_batches: int) -> float:
    """Of the trials of so many batches but the first, in which readers come and go."""
    for _ in islice(ended, BATCH):
        pass
    began = time.monotonic()
    n = sum(1 for _ in islice(ended, (n_batches - 1) * BATCH))
    return (time.monotonic() - began) / n


def page(numbers: dict[str, Any], date: str) -> str:
    """The record as Markdown."""
    quiet, read = numbers["quiet_seconds"], numbers["read_seconds"]
    ratios = [with_readers / without for without, with_readers in zip(quiet, read, strict=True)]
    errors = "; ".join(f"{text} ({n} times)" for text, n in numbers["errors"].items()) or "none"
    return "\n".join(
        [
            f"# Readers beside a study, {numbers['database']}, {date}",
            "",
            f"`python -m benchmarks.readers`: a study of {numbers['n_trials']:,} trials searches on, a training a "
            f"sleep of {numbers['training_seconds']:g} s, beside {numbers['n_readers']} readers of the service, each "
            f"with another page every {numbers['pause_seconds']:g} s and the live page between; {numbers['machine']}, "
            f"other work beside it, at a niceness of {numbers['niceness']}. "
            f"{len(quiet)} pairs of blocks of {numbers['n_batches']} batches of {BATCH} "
            "trials, in turn; the bar is a ratio of 1.05 and no error.",
            "",
            "| | median | range |",
            "| --- | ---: | ---: |",
            f"| seconds of a trial without readers | {median(quiet):.3f} | {min(quiet):.3f} .. {max(quiet):.3f} |",
            f"| with readers | {median(read):.3f} | {min(read):.3f} .. {max(read):.3f} |",
            f"| ratio, pair by pair | {median(ratios):.3f} | {min(ratios):.3f} .. {max(ratios):.3f} |",
            "",
            f"Read: {numbers['pages']:,} pages, {numbers['updates']:,} updates. Errors: {errors}.",
        ]
    )


def main() -> None:
    """Have the study search on, in turn with and without readers; print the page and record it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--trials", type=int, default=500, help="trials that the study has before")
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--batches", type=int, default=5, help=f"batches of {BATCH} trials in a block")
    parser.add_argument("--training", type=float, default=1.0, help="seconds of a training")
    parser.add_argument("--pause", type=float, default=10.0, help="seconds between two pages of a reader")
    parser.add_argument("--storage", help="URL of an empty database; a SQLite file in a temporary folder by default")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 2 readers, 4 trials, nothing recorded")
    options = parser.parse_args()
    sizes = {
        "n_readers": options.readers, "n_trials": options.trials, "n_pairs": options.pairs,
        "n_batches": options.batches, "seconds": options.training, "pause": options.pause,
    }  # fmt: skip
    if options.quick:
        sizes = {"n_readers": 2, "n_trials": 4, "n_pairs": 1, "n_batches": 3, "seconds": 0.05, "pause": 0.1}
    with tempfile.TemporaryDirectory() as folder:
        url = options.storage or f"sqlite:///{Path(folder) / 'study.db'}"
        measured = measure(url, **sizes)
    settings = {
        "n_readers": sizes["n_readers"], "n_trials": sizes["n_trials"], "n_batches": sizes["n_batches"],
        "training_seconds": sizes["seconds"], "pause_seconds": sizes["pause"], "niceness": os.nice(0),
    }  # fmt: skip
    report_on_database("readers", url, {**settings, **measured}, page, is_recorded=not options.quick)


if __name__ == "__main__":
    main()
