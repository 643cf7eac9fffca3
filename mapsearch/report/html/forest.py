"""The verdict's questions as a forest plot: gains with their intervals around the margin, one row below another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mapsearch.core.summaries import StudyOverview, TrialSummary
from mapsearch.core.verdict import Against, Outcome, Question, Verdict
from mapsearch.report.html.scales import Scale

MARGINS_SHOWN = 3
"""The scale reaches so many margins each way: a large gain and a tie cannot be read on one that holds both."""

ASKED = {
    ("nominee", "none"): "Is a teacher worth it at all?",
    ("nominee", "outputs"): "Do features add to its outputs?",
    ("nominee", "uniform"): "Does the searched mapping beat a plain one?",
    ("outputs", "none"): "Are the teacher's outputs alone worth it?",
}
GLYPHS: dict[Outcome, str] = {"BEATS": "▲", "TIES": "=", "WORSE": "▼", "INCONCLUSIVE": "?"}


@dataclass(frozen=True)
class ForestRow:
    """One comparison; places are in per cent of the scale, `beyond` says on which side a mean lies outside.

    `seeds` are the places of single seeds that are on the scale. `why_not` is told where nothing was asked.
    """

    title: str
    control: str
    subject: str
    outcome: Outcome | None
    difference: float | None
    low: float | None
    high: float | None
    n_seeds: int
    overhead: float | None = None
    why_not: str = ""
    x: float | None = None
    x_low: float | None = None
    x_high: float | None = None
    beyond: str = ""
    seeds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Forest:
    """Questions in their order, then the controls that are context; the band of the margin and ticks of the axis."""

    questions: tuple[ForestRow, ...]
    context: tuple[ForestRow, ...]
    margin: float | None
    band: tuple[float, float] | None
    zero: float
    ticks: tuple[tuple[float, float], ...]


def forest(verdict: Verdict, study: StudyOverview) -> Forest:
    """The forest plot of a verdict; single seeds and costs come from the study's trials."""
    trials = {trial.number: trial for trial in study.trials}
    answered = {question.control for question in verdict.questions if question.subject == "nominee"}
    context = [row for row in verdict.against if row.control not in answered or not verdict.questions]
    scale = _scale(verdict, context)
    sign = 1.0 if study.direction == "maximize" else -1.0
    return Forest(
        tuple(_asked(question, verdict, trials, sign, scale) for question in verdict.questions),
        tuple(_context(row, trials, scale) for row in context),
        verdict.margin,
        (scale(-verdict.margin), scale(verdict.margin)) if verdict.margin else None,
        scale(0.0),
        tuple((tick, scale(tick)) for tick in scale.ticks(4)),
    )


def seed_differences(
    subject: TrialSummary | None, control: TrialSummary | None, sign: float, n_seeds: int
) -> dict[int, float]:
    """Gains of the subject over the control by seed, of the first `n_seeds` that both have."""
    if subject is None or control is None:
        return {}
    one = dict(zip(subject.confirmed_seeds, subject.confirmed, strict=True))
    other = dict(zip(control.confirmed_seeds, control.confirmed, strict=True))
    return {seed: sign * (one[seed] - other[seed]) for seed in sorted(one.keys() & other.keys())[:n_seeds]}


def subject_of(question: Question, verdict: Verdict) -> int | None:
    """The number of the trial that a question is about."""
    if question.subject == "nominee":
        return verdict.nominee
    return next((q.trial for q in verdict.questions if q.control == question.subject), None)


def _scale(verdict: Verdict, context: Sequence[Against]) -> Scale:
    if verdict.margin:
        reach = MARGINS_SHOWN * verdict.margin
    else:
        ends = [end for q in verdict.questions for end in (q.difference, q.low, q.high) if end is not None]
        reach = 1.1 * max((abs(end) for end in [*ends, *(row.difference for row in context)]), default=0.0) or 1.0
    return Scale(-reach, reach)


def _asked(
    question: Question, verdict: Verdict, trials: Mapping[int, TrialSummary], sign: float, scale: Scale
) -> ForestRow:
    title = ASKED.get((question.subject, question.control), f"{question.subject} against {question.control}")
    row = (question.control, question.subject, question.outcome, question.difference, question.low, question.high)
    if question.difference is None:
        return ForestRow(title, *row, 0, why_not=question.why_not)
    control = trials.get(question.trial) if question.trial is not None else None
    subject = trials.get(number) if (number := subject_of(question, verdict)) is not None else None
    places = [scale(gain) for gain in seed_differences(subject, control, sign, question.n_seeds).values()]
    on_it = tuple(place for place in places if scale.start <= place <= scale.end)
    drawn = _places(question.difference, question.low, question.high, scale)
    return ForestRow(title, *row, question.n_seeds, control.overhead if control else None, "", *drawn, on_it)


def _context(row: Against, trials: Mapping[int, TrialSummary], scale: Scale) -> ForestRow:
    drawn = _places(row.difference, row.low, row.high, scale)
    overhead = trials[row.trial].overhead if row.trial in trials else None
    ends = (row.outcome, row.difference, row.low, row.high)
    return ForestRow(row.label, row.control, "nominee", *ends, row.n_seeds, overhead, "", *drawn)


def _places(
    difference: float, low: float | None, high: float | None, scale: Scale
) -> tuple[float, float | None, float | None, str]:
    """Places of mean and interval, cut at the ends of the scale, and the side on which the mean lies beyond it."""
    beyond = "worse" if difference < scale.low else "better" if difference > scale.high else ""
    ends = [None if end is None else min(scale.end, max(scale.start, scale(end))) for end in (low, high)]
    return scale(difference), ends[0], ends[1], beyond
