"""How far a study is, beside what it will take at most; nothing here imports torch."""

from pydantic import ValidationError

from mapsearch import search
from mapsearch.core.details import StudyDetails
from mapsearch.core.forecast import StageForecast
from mapsearch.core.spec import StudySpec
from mapsearch.report.html.progress import StudyProgress, study_progress


def progress(details: StudyDetails) -> StudyProgress:
    """The progress of a study; of one whose settings this version does not know, what is left is not told."""
    return study_progress(details, _planned(details))


def _planned(details: StudyDetails) -> tuple[StageForecast, ...]:
    try:
        spec = StudySpec.model_validate({**details.spec, "folder": "."})
    except ValidationError:
        return ()
    return search.forecast_stages(spec, details.facts.outputs)
