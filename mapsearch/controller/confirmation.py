"""The confirm stage: fresh seeds, look by look, until no question is worth more of them; then the verdict."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from mapsearch import search
from mapsearch.controller.context import StudyContext, Update
from mapsearch.controller.failures import causes, raise_if_nothing_came_through
from mapsearch.controller.stage_runs import run_plans
from mapsearch.core.budget import full_runs
from mapsearch.core.events import Message
from mapsearch.core.runs import Run
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Noise, Verdict
from mapsearch.verdict.confirmed import confirmed_values, failed_trials
from mapsearch.verdict.judge import Case, judge
from mapsearch.verdict.margin import frozen_margin
from mapsearch.verdict.questions import answer
from mapsearch.verdict.warnings import idle_features, weak_teacher

REDRAWN = "each seed draws its own training samples: differences and intervals cover the draw of the data too"


def freeze_margin(context: StudyContext) -> Iterator[Update]:
    """The difference that does not matter, known before anything is confirmed."""
    study, spec = context.study, context.spec
    if study.facts().margin is not None:
        return
    alone = next((t for name in search.PLAIN for t in context.trials if t.control == name), None)
    *_, seeds = search.shortlist_seeds(spec)
    plans = search.plan(spec, [alone], search.FULL, seeds, "shortlist") if alone and spec.margin is None else []
    yield from run_plans(context, [], plans)
    keys, runs = {plan.key for plan in plans}, context.runs
    values = [run.value for run in runs if run.key in keys and run.value is not None]
    teacher = study.facts().teacher[spec.metric]
    assert teacher is not None, "the check refuses a teacher whose metric is not finite"
    margin, reason = frozen_margin(spec.margin, teacher, values, spec.direction)
    study.record_facts(replace(study.facts(), margin=margin, margin_reason=reason))
    yield Message("confirm", f"margin {margin:.3g}: {reason}")


def confirm(context: StudyContext, nominee: Trial | None) -> Iterator[Update]:
    """Trains what the questions need, look by look, and the other controls on few seeds.

    Raises:
        StudyFailed: no run of the stage came through.
    """
    spec, study = context.spec, context.study
    if nominee is not None:
        study.add_trials(search.missing_matched_trials(nominee.recipe, context.trials, context.space))
        yield Message("confirm", f"nominee: trial {nominee.number}, {nominee.recipe}")
    if study.facts().extended_to is not None and not _wanted(context, nominee):
        yield Message("confirm", "no question is left that more seeds would answer")
    while wanted := _wanted(context, nominee):
        n_seeds = max(wanted.values())
        seeds = search.confirm_seeds(spec, n_seeds)
        trials = [trial for name, trial in _questioned(context, nominee).items() if name in wanted]
        yield Message("confirm", f"looking at {n_seeds} fresh seeds: {', '.join(wanted)}")
        yield from _train(context, trials, seeds)
    yield from _add_context(context, nominee)
    raise_if_nothing_came_through([run for run in context.runs if run.stage == "confirm"])


def _add_context(context: StudyContext, nominee: Trial | None) -> Iterator[Update]:
    """The other controls on few seeds, if the budget pays for them."""
    spec, trials = context.spec, list(_context_trials(context, nominee).values())
    seeds, budget = search.confirm_seeds(spec, spec.confirm.context_seeds), full_runs(context.spec.budget)
    have = {(run.trial, run.seed) for run in context.runs if run.stage == "confirm"}
    n_missing = sum((trial.number, seed) not in have for trial in trials for seed in seeds)
    if n_missing and search.spent(spec, context.runs) + n_missing > budget:
        yield Message("confirm", f"controls that no question is about are left out: a `budget` of {budget} is spent")
    else:
        yield from _train(context, trials, seeds)


def _n_max(context: StudyContext) -> int:
    """The largest number of fresh seeds that study file and budget allow, or that the user asked for since."""
    affordable = search.n_seeds_affordable(context.spec, search.spent(context.spec, context.runs, before_confirm=True))
    return max(affordable, context.study.facts().extended_to or 0)


def _train(context: StudyContext, trials: list[Trial], seeds: list[int]) -> Iterator[Update]:
    matched = [trial for trial in trials if trial.proposer == "matched"]
    plans = search.plan(context.spec, trials, search.FULL, seeds, "confirm", split="test")
    yield from run_plans(context, matched, plans, may_fail=True)


def _wanted(context: StudyContext, nominee: Trial | None) -> Mapping[str, int]:
    """The seeds that the next look needs, by the name of the trial; empty when no more are worth their cost."""
    spec, facts, runs = context.spec, context.study.facts(), context.runs
    values, failed = confirmed_values(runs, spec.direction), failed_trials(runs)
    trials = {n: t for n, t in _questioned(context, nominee).items() if t.number not in failed}
    named = {name: values.get(trial.number, {}) for name, trial in trials.items()}
    n_max = _n_max(context)
    margin = facts.margin or 0.0
    return answer(named, search.confirm_seeds(spec, n_max), margin, n_max).wanted


def _questioned(context: StudyContext, nominee: Trial | None) -> dict[str, Trial]:
    """The trials that questions are about, by name."""
    numbers, _ = search.verdict_controls(context.trials, nominee)
    found = {name: context.trials[n] for name, n in numbers.items() if name in (*search.PLAIN, "uniform")}
    if nominee is None:
        return {name: trial for name, trial in found.items() if name in search.PLAIN}
    return {"nominee": nominee, **found}


def _context_trials(context: StudyContext, nominee: Trial | None) -> dict[str, Trial]:
    """The other controls, and `uniform`, whose question may not be asked; context is for a nominee."""
    if nominee is None:
        return {}
    numbers, _ = search.verdict_controls(context.trials, nominee)
    return {name: context.trials[n] for name, n in numbers.items() if name not in search.PLAIN}


def give_verdict(context: StudyContext, nominee: Trial | None, noise: Noise | None) -> Verdict:
    """The answers to the questions and what to use, stored as the study's result."""
    study, spec, runs = context.study, context.spec, context.runs
    values, failed = confirmed_values(runs, spec.direction), failed_trials(runs)
    trials, unasked = _judgeable(context, nominee, failed, runs)
    facts, n_max = study.facts(), _n_max(context)
    sign = 1.0 if spec.direction == "maximize" else -1.0
    baseline = facts.baseline.get("test")
    case = Case(
        spec.name, trials, facts.margin or 0.0, facts.margin_reason, n_max, _context_trials(context, nominee),
        unasked, None if baseline is None else sign * baseline, noise,
    )  # fmt: skip
    warnings = _warnings(context, nominee, unasked, runs)
    verdict = judge(case, values, search.confirm_seeds(spec, n_max), warnings)
    study.record_facts(replace(facts, verdict=verdict))
    study.set_state("complete")
    return verdict


def _judgeable(
    context: StudyContext, nominee: Trial | None, failed: set[int], runs: list[Run]
) -> tuple[dict[str, Trial], dict[str, str]]:
    """The trials that can be judged, by name, and why a question is not asked, by control."""
    questioned = _questioned(context, nominee)
    unasked = {
        name: f"its runs failed on fresh seeds: {causes([r for r in runs if r.trial == t.number and r.value is None])}"
        for name, t in questioned.items()
        if t.number in failed
    }
    if nominee is None:
        unasked["nominee"] = "no mapping came through the search"
    _, own = search.verdict_controls(context.trials, nominee)
    if "uniform" in own:
        unasked["uniform"] = "the nominee's mapping is the uniform one"
    absent = {"none": "the task has no loss of its own", "outputs": "no outputs are matched"}
    absent["uniform"] = "it is not legal with the nominee's loss"
    unasked |= {name: why for name, why in absent.items() if name not in questioned and name not in unasked}
    return {name: t for name, t in questioned.items() if t.number not in failed}, unasked


def _warnings(context: StudyContext, nominee: Trial | None, unasked: Mapping[str, str], runs: list[Run]) -> list[str]:
    facts, spec = context.study.facts(), context.spec
    teacher = facts.teacher[spec.metric]
    assert teacher is not None, "the check refuses a teacher whose metric is not finite"
    warnings = weak_teacher(teacher, context.trials, runs, spec.direction)
    warnings += [REDRAWN] if facts.redraws else []
    if nominee is None or "nominee" in unasked:
        why = unasked["nominee"]
        return [*warnings, f"no mapping could be confirmed: {why}"]
    warnings += idle_features(nominee.number, runs)
    numbers, own = search.verdict_controls(context.trials, nominee)
    absent = {t.control for t in context.trials if t.control} - set(numbers) - set(own)
    if absent:
        warnings.append(f"no comparison with {', '.join(sorted(absent))}: not legal with the nominee's loss")
    if own:
        warnings.append(f"the nominee's mapping is that of the controls {', '.join(own)}: nothing to compare")
    return warnings
