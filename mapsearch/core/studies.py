"""A study of the database: its name, state, specification and what its stages found."""

from dataclasses import dataclass
from typing import Any, Literal

DEFAULT_STORAGE = "sqlite:///mapsearch.db"
"""The study database when nothing else is said: a file in the working folder."""


StudyState = Literal["running", "stopped", "complete", "failed"]


@dataclass(frozen=True)
class Study:
    """One study of the database; `spec` is the study file with its defaults written out.

    `facts` holds what the stages found so far, by name: environment, teacher, layers, similarity,
    tuned, noise, finalists, verdict.
    """

    name: str
    state: StudyState
    spec: dict[str, Any]
    folder: str
    facts: dict[str, Any]
    created_at: str
    updated_at: str
    n_trials: int
    n_runs: int
    n_complete: int
