"""A study of the database: what it is, how far it got and what its stages found."""

from dataclasses import dataclass
from typing import Any, Literal

from mapsearch.core.facts import StudyFacts

DEFAULT_STORAGE = "sqlite:///mapsearch.db"
"""The study database when nothing else is said: a file in the working folder."""


STUDY_NAME = "^[A-Za-z0-9][A-Za-z0-9._-]*$"
LONGEST_NAME = 100
"""Characters of a study's name."""

StudyState = Literal["queued", "checking", "running", "stopped", "complete", "failed"]

UNDER_WAY: tuple[StudyState, ...] = ("checking", "running")
"""The states of a study that a live process controls; left by a process that died, they mean `stopped`."""

ACTIVE: tuple[StudyState, ...] = ("queued", *UNDER_WAY)
"""The states of a study that goes on by itself."""


@dataclass(frozen=True)
class Study:
    """One study of the database; `spec` is the study file with its defaults written out, `study_file` its own text.

    `note` is what people wrote about it. `n_expected` is the number of runs that the whole study will take, at
    most; None before its check. `port_of` names the study that it is to begin with, if any.
    """

    name: str
    state: StudyState
    spec: dict[str, Any]
    folder: str
    facts: StudyFacts
    created_at: str
    updated_at: str
    n_trials: int
    n_runs: int
    n_complete: int
    n_expected: int | None = None
    study_file: str = ""
    note: str = ""
    port_of: str | None = None


@dataclass(frozen=True)
class StartRequest:
    """A study that somebody asked the service to start: `folder` is where its task lies.

    `seeds` is None where the study is run, else the fresh seeds that a finished one is to be followed to. `epoch`
    counts the processes that have held the study so far: a greater one says that somebody has held it since.
    """

    name: str
    folder: str
    seeds: int | None
    epoch: int
