"""The decision of a study in plain words: what to do, why, at what cost, and which commands come next."""

from dataclasses import dataclass
from statistics import fmean

from mapsearch.core.details import StudyDetails
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.summaries import TrialSummary
from mapsearch.core.verdict import MOST_SEEDS_TOLD, Question, Verdict
from mapsearch.report.html.numbers import Unit, counted, duration, multiple

HEADLINES = {
    "use_features": "Use feature distillation.",
    "use_outputs": "Use the teacher's outputs. Leave the features out.",
    "use_none": "Train without a teacher.",
    "undecided": "Not decided yet.",
    "nothing_learned": "Nothing learned: there is no recommendation.",
}
BEFORE_VERDICT = {
    "queued": "No decision yet: the study waits to be started.",
    "checking": "No decision yet: networks and data are being checked.",
    "running": "No decision yet: the study is running.",
    "stopped": "No decision yet: the study was stopped.",
    "failed": "No decision: the study failed.",
    "complete": "No decision: the study ended without a verdict.",
}
FEATURES_HERE = {
    "use_features": "Yes",
    "use_outputs": "No",
    "use_none": "No",
    "undecided": "Undecided",
    "nothing_learned": "Unknown",
}
PHRASES = {"BEATS": "beats", "TIES": "ties with", "WORSE": "is worse than", "INCONCLUSIVE": "cannot be told from"}
CONTROLS = {"none": "training without a teacher", "outputs": "the outputs alone", "uniform": "a plain uniform mapping"}


@dataclass(frozen=True)
class Answer:
    """One of the three things a team lead asks."""

    question: str
    answer: str
    reason: str


@dataclass(frozen=True)
class Step:
    """What to do next, and the command that does it."""

    title: str
    text: str
    command: str


@dataclass(frozen=True)
class DecisionText:
    """Everything that is said before the first chart."""

    kicker: str
    headline: str
    why: tuple[str, ...]
    answers: tuple[Answer, ...]
    warnings: tuple[str, ...]
    steps: tuple[Step, ...]


def decision_text(details: StudyDetails, unit: Unit) -> DecisionText:
    """The words for a study, with a verdict or before it."""
    study = details.overview
    if study.verdict is None:
        return DecisionText(
            f"{study.n_complete:,} of {study.n_expected or study.n_runs:,} runs done", BEFORE_VERDICT[study.state],
            (), (), _why_failed(details), _steps_before(study.name, study.state),
        )  # fmt: skip
    verdict, trials = study.verdict, {trial.number: trial for trial in study.trials}
    n_seeds = max((question.n_seeds for question in verdict.questions), default=0)
    return DecisionText(
        f"Decision, from {counted(n_seeds, 'fresh seed')} on data the search never saw",
        _headline(verdict, trials),
        _why(verdict, trials, unit),
        (_features(verdict, unit), _layers(verdict, trials), _cost(details, verdict, trials)),
        verdict.warnings,
        _steps(study.name, verdict),
    )


def _why_failed(details: StudyDetails) -> tuple[str, ...]:
    """The last thing that is known of a study that failed."""
    reasons = [event.message for event in details.events if event.kind == "failed"]
    return tuple(reasons[-1:]) if details.overview.state == "failed" else ()


def _steps_before(name: str, state: str) -> tuple[Step, ...]:
    if state == "failed":
        return (Step("Mend it and go on", "Finished runs are kept, failed ones tried again.", f"mapsearch run {name}"),)
    if state == "stopped":
        return (Step("Go on", "From where it stopped; finished runs are kept.", f"mapsearch run {name}"),)
    return (Step("Look again", "It runs on its own; the same command tells how far it is.", f"mapsearch show {name}"),)


def _headline(verdict: Verdict, trials: dict[int, TrialSummary]) -> str:
    headline = HEADLINES[verdict.decision]
    if verdict.decision != "use_features":
        return headline
    chosen, mapping = _trial(verdict.recommended, trials), _outcome(verdict, "uniform")
    if chosen is not None and chosen.control == "uniform":
        return f"{headline} Plain uniform layers will do."
    told = {"BEATS": "Take the layers that the search found.", "INCONCLUSIVE": "Which layers is not settled."}
    return f"{headline} {told[mapping]}" if mapping in told else headline


def _why(verdict: Verdict, trials: dict[int, TrialSummary], unit: Unit) -> tuple[str, ...]:
    """A sentence for each question that was asked, then the margin."""
    told = [_sentence(question, trials, unit) for question in verdict.questions if question.difference is not None]
    if verdict.margin is not None:
        told.append(f"Differences up to {unit.size(verdict.margin)} do not matter here: {verdict.margin_reason}.")
    return tuple(told)


def _sentence(question: Question, trials: dict[int, TrialSummary], unit: Unit) -> str:
    assert question.difference is not None
    interval = (
        "" if question.low is None or question.high is None else f" ({unit.interval(question.low, question.high)})"
    )
    subject = "The best feature recipe" if question.subject == "nominee" else "Learning from the outputs alone"
    control = _trial(question.trial, trials)
    level = f" ({unit.value(fmean(control.confirmed))})" if control and control.confirmed else ""
    phrase, control_name = PHRASES[question.outcome or "INCONCLUSIVE"], CONTROLS.get(question.control, question.control)
    return f"{subject} {phrase} {control_name}{level}: {unit.gain_with_unit(question.difference)}{interval}."


def _features(verdict: Verdict, unit: Unit) -> Answer:
    asked = [q for q in verdict.questions if q.control in ("outputs", "none") and q.difference is not None]
    decisive = next((q for q in asked if q.control == "outputs"), asked[0] if asked else None)
    reason = "no question could be asked"
    if decisive is not None and decisive.difference is not None and decisive.outcome is not None:
        phrase, control = PHRASES[decisive.outcome], CONTROLS[decisive.control]
        reason = f"the best of them {phrase} {control} ({unit.gain(decisive.difference)})"
    return Answer("Use feature distillation here?", FEATURES_HERE[verdict.decision], reason)


def _layers(verdict: Verdict, trials: dict[int, TrialSummary]) -> Answer:
    question = "With which layers?"
    if verdict.decision in ("use_outputs", "use_none"):
        return Answer(question, "None needed", "the best mapping that was found is drawn below")
    if verdict.decision == "nothing_learned":
        return Answer(question, "Unknown", "no student learned anything")
    trial = _trial(verdict.exported, trials)
    mapping = Recipe.from_json(trial.recipe).mapping if trial else LayerMapping()
    links = f"{counted(len(mapping.pairs), 'link')}, drawn below"
    if verdict.decision == "undecided":
        return Answer(question, "Undecided", f"trial {verdict.exported} is the nominee: {links}")
    searched = trial is not None and trial.number == verdict.nominee and not trial.control
    return Answer(question, "As searched" if searched else "Plain", f"trial {verdict.exported}: {links}")


def _cost(details: StudyDetails, verdict: Verdict, trials: dict[int, TrialSummary]) -> Answer:
    spent = f"this study took {duration(details.overview.cost.device_seconds)} of device time"
    chosen, nominee = _trial(verdict.exported, trials), _trial(verdict.nominee, trials)
    if chosen is None or chosen.overhead is None:
        return Answer("At what cost?", "Not timed", spent)
    other = ""
    if nominee is not None and nominee is not chosen and nominee.overhead is not None:
        other = f"the features would cost {multiple(nominee.overhead)}; "
    return Answer("At what cost?", multiple(chosen.overhead), f"training time of outputs alone; {other}{spent}")


def _steps(name: str, verdict: Verdict) -> tuple[Step, ...]:
    steps, seeds = [], verdict.seeds_to_settle
    if seeds is not None and seeds <= MOST_SEEDS_TOLD:
        text = f"About {seeds} fresh seeds, in all, answer what is open."
        steps.append(Step("Settle it", text, f"mapsearch confirm {name} --seeds {seeds}"))
    if verdict.decision != "nothing_learned" and verdict.exported is not None:
        which = "recommended" if verdict.recommended is not None else "nominee"
        text = f"Trial {verdict.exported}, the {which}, for a plain PyTorch loop; other targets: docs/exports.md."
        steps.append(Step("Take the recipe to your trainer", text, f"mapsearch export {name} --to torch -o distill.py"))
    steps.append(Step("Look closer", "Every recipe and every number.", f"mapsearch show {name} --all"))
    return tuple(steps)


def _trial(number: int | None, trials: dict[int, TrialSummary]) -> TrialSummary | None:
    return None if number is None else trials.get(number)


def _outcome(verdict: Verdict, control: str) -> str | None:
    return next((q.outcome for q in verdict.questions if q.control == control and q.subject == "nominee"), None)
