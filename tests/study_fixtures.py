"""A study folder as a user has one: three clusters, a teacher trained in a blink, a student of two blocks."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import create_engine, text

from mapsearch.controller.run import run_study
from mapsearch.core.errors import StoreError
from mapsearch.core.runs import Run
from mapsearch.core.spec import StudySpec
from mapsearch.core.study_file import load_study
from mapsearch.core.trials import Trial
from mapsearch.search import EQUAL_TIME
from mapsearch.store.store import Store

TASK = '''
import pathlib
import time
import traceback

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import TensorDataset

import mapsearch


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        return x + torch.relu(self.linear(x))


class Net(nn.Module):
    """After `patience` training steps it raises, or, if it is loud, gives what is not finite."""

    def __init__(self, width, depth, patience=10**9, loud=False):
        super().__init__()
        self.stem = nn.Linear(8, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.head = nn.Linear(width, 3)
        self.patience, self.loud = patience, loud

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        self.patience -= self.training and torch.is_grad_enabled()
        if self.patience < 0 and not self.loud:
            raise RuntimeError("the tape is full")
        return self.head(x) * (1.0 if self.patience >= 0 else torch.inf)


def points(n, seed):
    generator = torch.Generator().manual_seed(seed)
    y = torch.randint(3, (n,), generator=generator)
    return TensorDataset(2.0 * torch.eye(8)[y] + torch.randn(n, 8, generator=generator), y)


def taught(net, x, y, loss=F.cross_entropy):
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        loss(net(x), y).backward()
        optimizer.step()
    return net


class Clusters(mapsearch.Task):
    teacher_depth, student_depth = 4, 2

    def teacher(self):
        return taught(Net(16, self.teacher_depth), *points(256, 9).tensors)

    def student(self):
        return Net(8, self.student_depth)

    def train_data(self):
        return points(128, 1)

    def valid_data(self):
        return points(256, 2)

    def test_data(self):
        return points(256, 3)


class Deeper(Clusters):
    """The same with deeper networks."""

    teacher_depth, student_depth = 6, 3


class Crashing(Clusters):
    """Passes every check; its students raise when they are trained for longer than the check does."""

    def student(self):
        return Net(8, 2, patience=8)


class Exploding(Clusters):
    """Passes every check; its students diverge when they are trained for longer than the check does."""

    def student(self):
        return Net(8, 2, patience=8, loud=True)


class Chance(Clusters):
    """Its students never leave chance."""

    def metrics(self, output, batch):
        return {"accuracy": 1 / 3}


def hold(stage):
    """While there is a file `hold`, a file `held` names the stage and is touched, until there is a file `go`."""
    folder = pathlib.Path(__file__).parent
    if (folder / "hold").exists():
        (folder / "stage").write_text(stage)
        (folder / "stage").rename(folder / "held")
        while not (folder / "go").exists():
            (folder / "held").touch()
            time.sleep(0.01)
        (folder / "held").unlink()
        (folder / "go").unlink()


class Held(Clusters):
    """Stops, if it is to, at every tenth loss, and when the similarity is measured."""

    n_losses = 0

    def student(self):
        if any(frame.f_code.co_name == "measure_similarity" for frame, _ in traceback.walk_stack(None)):
            hold("similarity")
        return super().student()

    def loss(self, output, batch):
        self.n_losses += 1
        if self.n_losses % 10 == 1:
            hold("check")
        return super().loss(output, batch)


class Diverging(Clusters):
    """Every third student diverges in its third step, the first ones of a process excepted: the check makes those."""

    n_students = 0

    def student(self):
        self.n_students += 1
        return Net(8, 2, patience=2, loud=True) if self.n_students > 21 and self.n_students % 3 == 1 else Net(8, 2)
'''

STUDY: dict[str, Any] = {
    "name": "tiny",
    "task": "task.py:Clusters",
    "train": {"steps": 12, "batch_size": 16, "lr": 0.02},
    "similarity": {"samples": 64},
    "space": {"loss": ["nmse"], "output_weight": [1.0], "temperature": [2.0], "task_weight": [1.0], "lr": [1.0]},
    "search": {"trials": 4, "batch": 2, "rungs": [0.3, 0.5, 1.0], "noise_seeds": 2},
    "confirm": {"finalists": 1, "seeds": 6},
    "execution": {"devices": "cpu", "workers": 1},
}


Results = tuple[list[Trial], list[Run]]


def merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return {**old, **{k: merged(old[k], v) if isinstance(v, dict) and k in old else v for k, v in new.items()}}


def write(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "task.py").write_text(TASK)
    (folder / "study.yaml").write_text(yaml.safe_dump(merged(STUDY, changes)))
    return folder / "study.yaml"


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """`write_study(**changes)` -> study.yaml of a folder with its task.py; sections are merged."""
    return lambda **changes: write(tmp_path / "study", **changes)


@pytest.fixture
def spec(write_study: Callable[..., Path]) -> Callable[..., StudySpec]:
    """`spec(**changes)` -> the loaded study."""
    return lambda **changes: load_study(write_study(**changes))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """(study file, storage) of a study that ran to its end with a worker process. Read it, leave it as it is."""
    folder = tmp_path_factory.mktemp("finished")
    study, url = write(folder), f"sqlite:///{folder / 'study.db'}"
    run_study(load_study(study), url)
    return study, url


@pytest.fixture
def results() -> Callable[..., Results]:
    """`results(url)` -> the trials and runs of the study, or what of them depends on neither clocks nor retries."""

    def read(url: str, *, reproducible: bool = False) -> Results:
        with Store.open_to_read(url) as store:
            trials, runs = store.trials("tiny"), store.runs("tiny")
        if not reproducible:
            return trials, runs
        kept = {trial.number for trial in trials if trial.control != EQUAL_TIME}  # how long that trains, clocks decide
        return (
            [_without_sampler_number(trial) for trial in trials if trial.number in kept],
            [_reproducible(run) for run in runs if run.trial in kept],
        )

    return read


def _without_sampler_number(trial: Trial) -> Trial:
    """Only whether the sampler knows it: a number that was asked for and lost with the process shifts all after it."""
    return replace(trial, sampler_number=None if trial.sampler_number is None else 0)


def _reproducible(run: Run) -> Run:
    return replace(run, attempt=1, result=run.result and replace(run.result, seconds=0.0, attempt=1))


@pytest.fixture
def workers() -> Callable[[str], set[int]]:
    """`workers(url)` -> the process ids of the workers that train for the study right now."""

    def read(url: str) -> set[int]:
        engine = create_engine(url)
        with engine.connect() as db:
            names = db.execute(text("SELECT worker FROM mapsearch_attempts WHERE state = 'running'")).scalars().all()
        engine.dispose()
        return {int(name.partition("@")[0]) for name in names}

    return read


def arguments_of(pid: int) -> str:
    """The command line of a live process; a zombie has none."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.fixture
def is_worker() -> Callable[[int], bool]:
    return lambda pid: "mapsearch.executors.worker" in arguments_of(pid)


@pytest.fixture
def eventually() -> Callable[..., None]:
    """`eventually(what)` waits until `what()` is true: for other processes, where there is nothing to wait on."""

    def wait(what: Callable[[], object], seconds: float = 240.0) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.01)

    return wait


@pytest.fixture
def n_complete(results: Callable[..., Results]) -> Callable[[str], int]:
    """`n_complete(url)` -> runs done so far; none when there is no study yet."""

    def count(url: str) -> int:
        try:
            return sum(run.state == "complete" for run in results(url)[1])
        except StoreError:
            return 0

    return count


STAGES = ("check", "similarity", "tune", "noise", "search", "shortlist", "confirm")
"""Of a study, in the order in which something of them is trained first."""


@dataclass(frozen=True)
class Hold:
    """Stops a study of the task `Held` in a stage: every stage has more losses than it passes in between."""

    folder: Path
    url: str
    eventually: Callable[..., None]

    def begin(self) -> None:
        """From now on the task stops."""
        for left in ("held", "go"):
            (self.folder / left).unlink(missing_ok=True)
        (self.folder / "hold").touch()

    def reach(self, stage: str) -> None:
        """Let the study go on until it stands still in that stage."""
        self.eventually((self.folder / "held").exists)
        while stage not in self._stages():
            self.go()
            self.eventually((self.folder / "held").exists)

    def go(self) -> None:
        """Let it go on to the next stop."""
        (self.folder / "go").touch()
        self.eventually(lambda: not (self.folder / "go").exists())

    def stay(self) -> None:
        """See that it stands still, and has taken in the signals that it got before."""
        for _ in range(2):
            before = (self.folder / "held").stat().st_mtime_ns
            self.eventually(lambda before=before: (self.folder / "held").stat().st_mtime_ns > before)

    def release(self) -> None:
        """It stops no more, and goes on if it stands still."""
        (self.folder / "hold").unlink()
        (self.folder / "go").touch()

    def _stages(self) -> set[str]:
        with Store.open_to_read(self.url) as store:
            running = {run.stage for run in store.runs("tiny") if run.state == "running"}
        return set(running) or {(self.folder / "held").read_text()}


@pytest.fixture
def hold(write_study: Callable[..., Path], url: str, eventually: Callable[..., None]) -> Hold:
    """Stops the study of `write_study(task="task.py:Held")`."""
    return Hold(write_study().parent, url, eventually)


@pytest.fixture
def mapsearch(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`mapsearch(*arguments, **variables)` -> the command as a process of its own, started in the test's folder.

    `variables` are of its environment, `before` another command that starts it, `program` what Python is to run.
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"}
    environment.pop("MAPSEARCH_STORAGE", None)
    with ExitStack() as stack:

        def start(
            *arguments: object,
            before: Sequence[str] = (),
            program: Sequence[str] = ("-m", "mapsearch"),
            **variables: str,
        ) -> subprocess.Popen[str]:
            started = stack.enter_context(
                subprocess.Popen(
                    [*before, sys.executable, *program, *map(str, arguments)],
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
                    env={**environment, **variables},
                    start_new_session=True,  # so that a signal to its group is like a key of its terminal
                )
            )  # fmt: skip
            stack.callback(started.kill)
            return started

        yield start
