"""The last stage: the answers to the questions, what to use, and what to heed."""

from collections.abc import Mapping
from dataclasses import replace

from mapsearch import search
from mapsearch.controller.confirmation import context_trials, most_seeds, questioned
from mapsearch.controller.context import StudyContext
from mapsearch.controller.failures import causes
from mapsearch.controller.nomination import NO_ERROR_LEFT, SHARED, is_refused
from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Noise, Verdict
from mapsearch.proposers.controls import OWN_SETTINGS
from mapsearch.verdict.confirmed import confirmed_values, failed_trials
from mapsearch.verdict.judge import Case, judge
from mapsearch.verdict.warnings import idle_features, weak_teacher

REDRAWN = "each seed draws its own training samples: differences and intervals cover the draw of the data too"


def give_verdict(context: StudyContext, nominee: Trial | None, noise: Noise | None) -> Verdict:
    """The answers to the questions and what to use, stored as the study's result."""
    study, spec, runs = context.study, context.spec, context.runs
    values, failed = confirmed_values(runs, spec.direction), failed_trials(runs)
    trials, unasked = _judgeable(context, nominee, failed, runs)
    facts, n_max = study.facts(), most_seeds(context)
    sign = 1.0 if spec.direction == "maximize" else -1.0
    baseline = facts.baseline.get("test")
    longer = facts.equal_time_of(nominee.number) if nominee else None
    n_steps = {search.EQUAL_TIME: longer.n_steps} if longer else {}
    case = Case(
        spec.name, trials, facts.margin or 0.0, facts.margin_reason, n_max, context_trials(context, nominee),
        n_steps, unasked, None if baseline is None else sign * baseline, noise, facts.error_share,
    )  # fmt: skip
    warnings = _warnings(context, nominee, unasked, runs)
    verdict = judge(case, values, search.confirm_seeds(spec, n_max), warnings)
    study.record_facts(replace(facts, verdict=verdict, overheads=search.fit_overheads(context.trials, runs)))
    study.set_state("complete")
    return verdict


def _judgeable(
    context: StudyContext, nominee: Trial | None, failed: set[int], runs: list[Run]
) -> tuple[dict[str, Trial], dict[str, str]]:
    """The trials that can be judged, by name, and why a question is not asked, by control."""
    asked = questioned(context, nominee)
    unasked = {
        name: f"its runs failed on fresh seeds: {causes([r for r in runs if r.trial == t.number and r.value is None])}"
        for name, t in asked.items()
        if t.number in failed
    }
    if nominee is None:
        refused = is_refused(context.study.facts())
        unasked["nominee"] = f"it {NO_ERROR_LEFT}" if refused else "no mapping came through the search"
    _, own = search.verdict_controls(context.trials, nominee)
    if "uniform" in own:
        unasked["uniform"] = "the nominee's mapping is the uniform one"
    absent = {"none": "the task has no loss of its own", "outputs": "no outputs are matched"}
    absent["uniform"] = "it is not legal with the nominee's loss"
    unasked |= {name: why for name, why in absent.items() if name not in asked and name not in unasked}
    return {name: t for name, t in asked.items() if t.number not in failed}, unasked


def _warnings(context: StudyContext, nominee: Trial | None, unasked: Mapping[str, str], runs: list[Run]) -> list[str]:
    facts, spec = context.study.facts(), context.spec
    teacher = facts.teacher[spec.metric]
    assert teacher is not None, "the check refuses a teacher whose metric is not finite"
    warnings = weak_teacher(teacher, context.trials, runs, spec.direction)
    warnings += [REDRAWN] if facts.redraws else []
    if nominee is None or "nominee" in unasked:
        why = unasked["nominee"]
        return [*warnings, f"no mapping could be confirmed: {why}"]
    if facts.error_share < 1:
        warnings.append(f"another nominee was judged before this one: {SHARED}")
    warnings += idle_features(nominee.number, runs)
    numbers, own = search.verdict_controls(context.trials, nominee)
    absent = {t.control for t in context.trials if t.proposer == "control"} - set(numbers) - set(own) - {*OWN_SETTINGS}
    if absent:
        warnings.append(f"no comparison with {', '.join(sorted(absent))}: not legal with the nominee's loss")
    if own:
        names = f"control{'s' if len(own) > 1 else ''} {', '.join(own)}"
        warnings.append(f"the nominee's mapping is that of the {names}: nothing to compare")
    _, coinciding = search.hand_made(spec, context.space, context.similarity, facts.copied)
    left_out = [f"`{name}` is `{other}`" for name, other in coinciding.items() if name not in {*numbers, *own}]
    return [*warnings, f"controls that coincide stand once: {', '.join(left_out)}"] if left_out else warnings
