"""A study of the database: what it is, how far it got and what its stages found."""

from dataclasses import dataclass
from typing import Any, Literal

from mapsearch.core.facts import StudyFacts

DEFAULT_STORAGE = "sqlite:///mapsearch.db"
"""The study database when nothing else is said: a file in the working folder."""


StudyState = Literal["queued", "checking", "running", "stopped", "complete", "failed"]

UNDER_WAY: tuple[StudyState, ...] = ("checking", "running")
"""The states of a study that a live process controls; left by a process that died, they mean `stopped`."""


@dataclass(frozen=True)
class Study:
    """One study of the database; `spec` is the study file with its defaults written out.

    `n_expected` is the number of runs that the whole study will take, at most; None before its check.
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
