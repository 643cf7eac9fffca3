"""The decision of a study as a few lines of plain text, to be pasted into a message or a ticket."""

from mapsearch.core.summaries import StudyOverview
from mapsearch.core.verdict import Verdict
from mapsearch.report.html.decision import DecisionText


def decision_note(study: StudyOverview, text: DecisionText, decided_at: str) -> str:
    """The note of a study with a verdict; empty before it.

    Args:
        decided_at: the day, as the note tells it.
    """
    if study.verdict is None:
        return ""
    lines = [
        f"{study.name}: {text.headline}",
        *text.why,
        *(f"{answer.question} {answer.answer} ({answer.reason})" for answer in text.answers),
        *(f"Mind: {warning}" for warning in text.warnings),
        _basis(study, study.verdict, decided_at),
    ]
    return "\n".join(lines)


def _basis(study: StudyOverview, verdict: Verdict, decided_at: str) -> str:
    n_seeds = max((question.n_seeds for question in verdict.questions), default=0)
    return (
        f"From {study.n_trials} trials and {study.n_complete} runs, judged on {n_seeds} fresh seeds and data the "
        f"search never saw; mapsearch, {decided_at}."
    )
