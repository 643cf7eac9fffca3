"""What the study database answers; nothing here imports torch."""

from dataclasses import dataclass
from typing import Any

from mapsearch.core.runs import Run
from mapsearch.core.studies import DEFAULT_STORAGE, Study
from mapsearch.core.summaries import RunSummary, StudyCost, StudySummary
from mapsearch.core.trials import Trial
from mapsearch.report import study_json
from mapsearch.store.store import Store


def read(name: str, storage: str) -> tuple[Study, list[Trial], list[Run]]:
    """A study with its trials and runs.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StoreError: there is no study database.
    """
    with Store.open(storage, create=False) as store:
        return store.study(name), store.trials(name), store.runs(name)


@dataclass(frozen=True)
class Overview:
    """What `show` prints of a study: its best proposals and its controls with their runs, and what it cost."""

    study: Study
    trials: list[Trial]
    runs: list[RunSummary]
    cost: StudyCost


def overview(name: str, storage: str, n_best: int) -> Overview:
    """The best proposals, the tuned recipes and the controls of a study; no other trial or run is loaded.

    Raises:
        StudyNotFound: no study of that name.
    """
    with Store.open(storage, create=False) as store:
        trials = store.shown_trials(name, n_best)
        runs = store.run_summaries(name, of_trials=[trial.number for trial in trials])
        return Overview(store.study(name), trials, runs, store.cost(name))


def show(name: str, storage: str = DEFAULT_STORAGE, *, after: int = -1, limit: int | None = None) -> dict[str, Any]:
    """Verdict, trials and cost of a study: the same fields as `mapsearch show --json`.

    Args:
        after: the trials with greater numbers only.
        limit: so many of them at most; None gives all.

    Raises:
        StudyNotFound: no study of that name.
    """
    with Store.open(storage, create=False) as store:
        study, trials, logits = store.study(name), store.trials(name, after=after, limit=limit), store.logits(name)
        numbers = [trial.number for trial in trials] + ([] if logits is None else [logits])
        runs = store.run_summaries(name, of_trials=None if len(trials) == study.n_trials else numbers)
        return study_json(study, trials, runs, store.cost(name), logits)


def list_studies(storage: str) -> list[StudySummary]:
    """Every study of the database, newest first.

    Raises:
        StoreError: there is no study database.
    """
    with Store.open(storage, create=False) as store:
        return store.studies()
