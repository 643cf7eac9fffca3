"""The confirm stage: fresh seeds, look by look, until no question is worth more of them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from mapsearch import search
from mapsearch.controller.context import StudyContext, Update
from mapsearch.controller.failures import raise_if_nothing_came_through
from mapsearch.controller.stage_runs import run_plans
from mapsearch.core.budget import full_runs
from mapsearch.core.events import Message
from mapsearch.core.runs import RunKey, RunPlan
from mapsearch.core.trials import Trial
from mapsearch.verdict.confirmed import confirmed_values, failed_trials
from mapsearch.verdict.margin import frozen_margin
from mapsearch.verdict.questions import answer


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
    yield from _try_again(context, _crashed(context, nominee))
    if nominee is not None:
        study.add_trials(search.missing_matched_trials(nominee.recipe, context.trials, context.space))
        _add_equal_time(context, nominee)
        yield Message("confirm", f"nominee: trial {nominee.number}, {nominee.recipe}")
    if study.facts().extended_to is not None and not _wanted(context, nominee):
        yield Message("confirm", "no question is left that more seeds would answer")
    while wanted := _wanted(context, nominee):
        n_seeds = max(wanted.values())
        seeds = search.confirm_seeds(spec, n_seeds)
        trials = [trial for name, trial in questioned(context, nominee).items() if name in wanted]
        yield Message("confirm", f"looking at {n_seeds} fresh seeds: {', '.join(wanted)}")
        yield from _train(context, trials, seeds)
    yield from _add_context(context, nominee)
    raise_if_nothing_came_through([run for run in context.runs if run.stage == "confirm"])


def _add_equal_time(context: StudyContext, nominee: Trial) -> None:
    """The control that gets the nominee's training time; how long that is, is decided before its first fresh seed."""
    study, trials, facts = context.study, context.trials, context.study.facts()
    has_begun = any(run.stage == "confirm" and run.trial == nominee.number for run in context.runs)
    if has_begun or facts.equal_time_of(nominee.number):
        return
    overheads = search.fit_overheads(trials, context.runs)
    new = search.equal_time(nominee, trials, overheads, context.spec.train.steps)
    if new is not None:
        row, trial = new
        study.add_trials([trial])
        study.record_facts(replace(facts, equal_time=(*facts.equal_time, row)))


def _add_context(context: StudyContext, nominee: Trial | None) -> Iterator[Update]:
    """The other controls on few seeds, the telling ones first, as far as the budget pays for them.

    `outputs_equal_time` is reckoned as full runs, whether it is needed or not: clocks decide that and how long it
    trains, and which other controls a study has must not follow them.
    """
    spec, budget, have = context.spec, full_runs(context.spec.budget), {run.key for run in context.runs}
    seeds, spent = search.confirm_seeds(spec, spec.confirm.context_seeds), search.spent(spec, context.runs)
    trials, paid, left_out = context_trials(context, nominee), list[Trial](), list[str]()
    for name in search.telling_first([search.EQUAL_TIME, *trials]):
        wanted = [trials[name]] if name in trials else []
        n_new = sum(plan.key not in have for plan in _plans(context, wanted, seeds)) if wanted else len(seeds)
        if n_new and spent + n_new > budget:
            left_out += [f"`{trial.control}`" for trial in wanted]
        else:
            spent += n_new
            paid += wanted
    if left_out:
        yield Message("confirm", f"a `budget` of {budget} does not pay for the controls {', '.join(left_out)}")
    yield from _train(context, paid, seeds)


def most_seeds(context: StudyContext) -> int:
    """The largest number of fresh seeds that study file and budget allow, or that the user asked for since."""
    affordable = search.n_seeds_affordable(context.spec, search.spent(context.spec, context.runs, before_confirm=True))
    return max(affordable, context.study.facts().extended_to or 0)


def _train(context: StudyContext, trials: list[Trial], seeds: list[int]) -> Iterator[Update]:
    matched = [trial for trial in trials if trial.proposer == "matched"]
    plans = _plans(context, trials, seeds)
    yield from run_plans(context, matched, plans, may_fail=True)
    keys = {plan.key for plan in plans}
    if again := [key for key in search.crashed(context.runs) if key in keys]:
        yield from _try_again(context, again)
        yield from run_plans(context, matched, plans, may_fail=True)


def _crashed(context: StudyContext, nominee: Trial | None) -> list[RunKey]:
    """The crashed runs of those that are judged or context now; an earlier nominee's stay as they are."""
    trials = (*questioned(context, nominee).values(), *context_trials(context, nominee).values())
    numbers = {trial.number for trial in trials}
    return [key for key in search.crashed(context.runs) if key[0] in numbers]


def _try_again(context: StudyContext, keys: list[RunKey]) -> Iterator[Update]:
    """Let runs that crashed wait once more: what a recipe is worth is not what a full disk says of it."""
    if keys:
        yield Message("confirm", f"{len(keys)} runs crashed or had too little memory, and are tried once more")
        context.study.reopen_runs(keys, search.trials_to_redo(context.trials, context.runs, keys))


def _plans(context: StudyContext, trials: list[Trial], seeds: list[int]) -> list[RunPlan]:
    longer = {row.trial: row.n_steps for row in context.study.facts().equal_time}
    plans = search.plan(context.spec, trials, search.FULL, seeds, "confirm", split="test")
    return [replace(plan, n_steps=longer.get(plan.trial, plan.n_steps)) for plan in plans]


def _wanted(context: StudyContext, nominee: Trial | None) -> Mapping[str, int]:
    """The seeds that the next look needs, by the name of the trial; empty when no more are worth their cost."""
    spec, facts, runs = context.spec, context.study.facts(), context.runs
    values, failed = confirmed_values(runs, spec.direction), failed_trials(runs)
    trials = {n: t for n, t in questioned(context, nominee).items() if t.number not in failed}
    named = {name: values.get(trial.number, {}) for name, trial in trials.items()}
    n_max = most_seeds(context)
    return answer(named, search.confirm_seeds(spec, n_max), facts.margin or 0.0, n_max, facts.error_share).wanted


def questioned(context: StudyContext, nominee: Trial | None) -> dict[str, Trial]:
    """The trials that questions are about, by name."""
    numbers, _ = search.verdict_controls(context.trials, nominee)
    found = {name: context.trials[n] for name, n in numbers.items() if name in (*search.PLAIN, "uniform")}
    if nominee is None:
        return {name: trial for name, trial in found.items() if name in search.PLAIN}
    return {"nominee": nominee, **found}


def context_trials(context: StudyContext, nominee: Trial | None) -> dict[str, Trial]:
    """The other controls, and `uniform`, whose question may not be asked; context is for a nominee."""
    if nominee is None:
        return {}
    numbers, _ = search.verdict_controls(context.trials, nominee)
    if row := context.study.facts().equal_time_of(nominee.number):
        numbers[search.EQUAL_TIME] = row.trial
    return {name: context.trials[n] for name, n in numbers.items() if name not in search.PLAIN}
