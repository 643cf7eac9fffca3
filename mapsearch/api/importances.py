"""Which settings mattered in a search; apart from the other questions, since Optuna is slow to import."""

from mapsearch.api import queries
from mapsearch.core.importances import Importances
from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.proposers.importances import parts_explained


def importances(name: str, storage: str = DEFAULT_STORAGE) -> Importances:
    """The part of what search values differ in that each setting of the recipes tried explains, the largest first.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        ImportError: scikit-learn is not installed.
    """
    study, trials = queries.study_and_trials(name, storage)
    teachers = [layer.path for layer in study.facts.layers.get("teacher", ())]
    searched = [trial for trial in trials if trial.proposer not in ("tune", "matched")]
    parts = parts_explained(searched, teachers, "minimize" if study.spec.get("direction") == "minimize" else "maximize")
    return Importances(name, str(study.spec.get("metric")), parts)
