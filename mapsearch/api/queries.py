"""What the study database answers; nothing here imports torch."""

from typing import Any

from mapsearch.core.runs import Run
from mapsearch.core.studies import DEFAULT_STORAGE, Study
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


def show(name: str, storage: str = DEFAULT_STORAGE) -> dict[str, Any]:
    """Verdict, trials and cost of a study: the same fields as `mapsearch show --json`.

    Raises:
        StudyNotFound: no study of that name.
    """
    return study_json(*read(name, storage))


def list_studies(storage: str) -> list[Study]:
    """Every study of the database, newest first.

    Raises:
        StoreError: there is no study database.
    """
    with Store.open(storage, create=False) as store:
        return store.studies()
