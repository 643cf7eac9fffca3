"""STEP: confirmed runs -> Verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Against, Decision, Noise, Question, Verdict
from mapsearch.verdict.confirmed import Values, paired
from mapsearch.verdict.learning import nothing_learned
from mapsearch.verdict.looks import seeds_to_settle
from mapsearch.verdict.questions import NONE, OUTPUTS, OUTPUTS_NONE, UNIFORM, Answers, Pairing, answer
from mapsearch.verdict.spread import odd_seed
from mapsearch.verdict.wording import verdict_sentence


@dataclass(frozen=True)
class Case:
    """What a verdict is about.

    Attributes:
        study: its name.
        trials: those that questions are about, by name: `nominee`, `none`, `outputs`, `uniform`, as far as there are.
        context: the trials of the other controls, by name, and of `uniform`, whose question may not be asked.
        n_steps: the optimizer steps of those controls that train for more of them than the nominee.
        unasked: why a question is not asked, by the name of its control.
        margin: differences up to this do not matter; `margin_reason` says where it comes from.
        baseline: the metric of the untrained student or a constant guess, the better, in the good direction.
        n_max: the largest number of fresh seeds.
        error_share: that of the study's error which this nominee may spend; earlier ones have spent of it.
    """

    study: str
    trials: Mapping[str, Trial]
    margin: float
    margin_reason: str
    n_max: int
    context: Mapping[str, Trial] = field(default_factory=dict)
    n_steps: Mapping[str, int] = field(default_factory=dict)
    unasked: Mapping[str, str] = field(default_factory=dict)
    baseline: float | None = None
    noise: Noise | None = None
    error_share: float = 1.0


def judge(case: Case, values: Mapping[int, Values], seeds: Sequence[int], warnings: Sequence[str] = ()) -> Verdict:
    """The verdict of what was confirmed so far.

    Args:
        values: the metric by trial and seed, larger is better, from `confirmed_values`.
        seeds: the fresh seeds in their order.
        warnings: what else to heed.
    """
    named = {name: values.get(trial.number, {}) for name, trial in case.trials.items()}
    answers = answer(named, seeds, case.margin, case.n_max, case.error_share)
    questions = _questions(case, answers, named, seeds)
    decision, chosen = _decide(case.trials, answers)
    if case.baseline is not None and nothing_learned(named, case.baseline):
        decision, chosen = "nothing_learned", ""
    recommended = case.trials[chosen].number if chosen else None
    answered = _answered(questions)
    against = (*answered, *_context(case, named.get("nominee", {}), values, answered))
    nominee = case.trials["nominee"].number if "nominee" in case.trials else None
    sentence = verdict_sentence(case.study, case.trials, decision, chosen, questions, case.margin)
    return Verdict(
        sentence, nominee, recommended, case.noise, against, (*warnings, *_odd_seeds(questions)), decision,
        case.margin, case.margin_reason, questions, case.error_share,
    )  # fmt: skip


def _decide(trials: Mapping[str, Trial], answers: Answers) -> tuple[Decision, str]:
    """What to use, and which of the trials it is; a tie goes to the cheaper of the two."""
    against_none, against_outputs = answers.outcome(NONE), answers.outcome(OUTPUTS)
    if "nominee" not in trials or against_none in ("TIES", "WORSE"):
        return _without_features(trials, answers)
    if against_outputs in ("TIES", "WORSE"):
        return "use_outputs", "outputs"
    won = {name: outcome == "BEATS" for name, outcome in (("none", against_none), ("outputs", against_outputs))}
    if not all(won[name] for name in ("none", "outputs") if name in trials):
        return "undecided", ""
    return "use_features", "uniform" if answers.outcome(UNIFORM) in ("TIES", "WORSE") else "nominee"


def _without_features(trials: Mapping[str, Trial], answers: Answers) -> tuple[Decision, str]:
    if not {"none", "outputs"} <= set(trials):
        alone: dict[str, tuple[Decision, str]] = {"outputs": ("use_outputs", "outputs"), "none": ("use_none", "none")}
        return next((alone[name] for name in ("outputs", "none") if name in trials), ("undecided", ""))
    outcome = answers.outcome(OUTPUTS_NONE)
    if outcome == "BEATS":
        return "use_outputs", "outputs"
    return ("use_none", "none") if outcome in ("TIES", "WORSE") else ("undecided", "")


def _questions(
    case: Case, answers: Answers, values: Mapping[str, Values], seeds: Sequence[int]
) -> tuple[Question, ...]:
    pairings = [NONE, OUTPUTS, UNIFORM, *([OUTPUTS_NONE] if OUTPUTS_NONE in answers.looks else [])]
    return tuple(_question(case, pairing, answers, values, seeds) for pairing in pairings)


def _question(
    case: Case, pairing: Pairing, answers: Answers, values: Mapping[str, Values], seeds: Sequence[int]
) -> Question:
    subject, control = pairing
    trial = case.trials[control].number if control in case.trials else None
    look = answers.looks.get(pairing)
    if look is None:
        return Question(control, subject, trial, asked=False, why_not=_why_not(case, pairing, answers))
    used = seeds[: look.n_seeds]
    pairs = zip(*paired(values[subject], values[control], used), strict=True)
    differences = dict(zip(used, (one - other for one, other in pairs), strict=True))
    is_open = look.outcome == "INCONCLUSIVE"
    return Question(
        control, subject, trial, outcome=look.outcome, difference=_tidy(look.mean), low=_tidy(look.low),
        high=_tidy(look.high), p_value=look.p_value, n_seeds=look.n_seeds,
        seeds_to_settle=seeds_to_settle(look, case.margin, case.n_max) if is_open else None,
        worst=_tidy(min(differences.values())), odd_seed=odd_seed(differences),
    )  # fmt: skip


def _why_not(case: Case, pairing: Pairing, answers: Answers) -> str:
    subject, control = pairing
    if reason := case.unasked.get(control) or case.unasked.get(subject):
        return reason
    if answers.outcome(NONE) in ("TIES", "WORSE"):
        return "features did not beat `none`"
    if pairing == UNIFORM and answers.outcome(OUTPUTS) != "BEATS":
        return "features must beat `none` and `outputs` first"
    return "its runs are not done"


def _answered(questions: Sequence[Question]) -> list[Against]:
    """The nominee's questions as rows."""
    return [
        Against(q.control, q.trial, q.outcome, q.difference, q.low, q.high, q.p_value, q.n_seeds)
        for q in questions
        if q.subject == "nominee" and q.trial is not None and q.difference is not None
    ]


def _context(case: Case, nominee: Values, values: Mapping[int, Values], answered: Sequence[Against]) -> list[Against]:
    """Mean differences to the controls that no question was asked about."""
    rows = []
    for control, trial in case.context.items():
        if any(row.control == control for row in answered):
            continue
        other = values.get(trial.number, {})
        if seeds := sorted(nominee.keys() & other.keys()):
            one, two = map(fmean, paired(nominee, other, seeds))
            n_steps = case.n_steps.get(control)
            rows.append(Against(control, trial.number, None, _tidy(one - two), None, None, None, len(seeds), n_steps))
    return rows


def _odd_seeds(questions: Sequence[Question]) -> list[str]:
    return [
        f"seed {q.odd_seed} stands far apart from the others in {q.subject} against `{q.control}`: means of few seeds "
        "hang on it"
        for q in questions
        if q.odd_seed is not None
    ]


def _tidy(value: float) -> float:
    """Without rounding dust, so that equal runs differ by 0 and not by 1e-17."""
    return round(value, 12) + 0.0
