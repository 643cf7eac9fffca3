"""A verdict as one sentence: what to use, on what evidence, or what would settle it."""

from collections.abc import Mapping, Sequence

from mapsearch.core.trials import Trial
from mapsearch.core.verdict import MOST_SEEDS_TOLD, Decision, Outcome, Question

PHRASES: dict[Outcome, str] = {
    "BEATS": "BEATS",
    "TIES": "TIES with",
    "WORSE": "is WORSE than",
    "INCONCLUSIVE": "is INCONCLUSIVE against",
}


def verdict_sentence(
    study: str, trials: Mapping[str, Trial], decision: Decision, chosen: str, questions: Sequence[Question],
    margin: float,
) -> str:  # fmt: skip
    """The decision, the answers behind it, and the margin.

    Args:
        study: its name, for the command that goes on.
        trials: by name: `nominee`, `none`, `outputs`, `uniform`.
        chosen: the name of the trial to use, or empty.
    """
    told = "; ".join([*_answers(questions, trials), f"margin {margin:.3g}"])
    if decision == "nothing_learned":
        return (
            "nothing learned: no recipe came out above the untrained student and a constant guess; change `train.lr`, "
            f"raise `train.steps`, or look at the labels ({told})"
        )
    if decision == "undecided":
        return f"undecided: {told}; {_way_out(study, questions)}"
    trial = trials[chosen]
    what = {"use_features": "use features", "use_outputs": "use outputs alone", "use_none": "train without a teacher"}
    unsettled = (
        "; which mapping is not settled" if decision == "use_features" and _is_open(questions, "uniform") else ""
    )
    return f"{what[decision]}: trial {trial.number} ({trial.recipe}); {told}{unsettled}"


def _answers(questions: Sequence[Question], trials: Mapping[str, Trial]) -> list[str]:
    """What was asked of each subject, the answers joined."""
    clauses = []
    for subject in dict.fromkeys(q.subject for q in questions if q.difference is not None):
        own = [_answer(q) for q in questions if q.subject == subject and q.difference is not None]
        clauses.append(f"{_name(subject, trials[subject])} {', '.join(own)}")
    return clauses or ["no question could be asked"]


def _answer(question: Question) -> str:
    assert question.outcome is not None
    interval = f"{question.difference:+.3g}, {question.low:+.3g} .. {question.high:+.3g}, {question.n_seeds} seeds"
    return f"{PHRASES[question.outcome]} {question.control} ({interval})"


def _name(subject: str, trial: Trial) -> str:
    if subject == "outputs":
        return "`outputs` alone"
    return f"the hand-made mapping `{trial.control}`" if trial.control else f"the best mapping (trial {trial.number})"


def _is_open(questions: Sequence[Question], control: str) -> bool:
    return any(q.control == control and q.outcome == "INCONCLUSIVE" for q in questions)


def _way_out(study: str, questions: Sequence[Question]) -> str:
    open_ones = [q for q in questions if q.seeds_to_settle is not None]
    if not open_ones:
        return "`mapsearch show` lists what failed"
    n = max(q.seeds_to_settle or 0 for q in open_ones)
    if n > MOST_SEEDS_TOLD:
        return f"more than {MOST_SEEDS_TOLD} seeds would be needed: a larger `margin` or `train.steps` decides sooner"
    return f"about {n} seeds would settle it: `mapsearch confirm {study} --seeds {n}`"
