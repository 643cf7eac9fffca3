"""The stages of a study after it was checked and compared, each resumable: what is there is not done again."""

from collections.abc import Generator, Iterator
from dataclasses import replace

from mapsearch import search
from mapsearch.controller.context import StudyContext, Update
from mapsearch.controller.failures import raise_if_nothing_came_through
from mapsearch.controller.stage_runs import run_plans
from mapsearch.core.events import Message
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Noise, Verdict
from mapsearch.proposers.encoding import to_params
from mapsearch.report.study import noise_sentence
from mapsearch.verdict.judge import judge
from mapsearch.verdict.noise import estimate_noise
from mapsearch.verdict.warnings import idle_features, weak_teacher

REDRAWN = "each seed draws its own training samples: differences and intervals cover the draw of the data too"


def tune(context: StudyContext) -> Generator[Update, None, Recipe]:
    """Output loss, weight and temperature without features, frozen for the rest of the study."""
    if not context.trials:
        context.study.add_trials(search.tune_trials(context.spec, context.outputs))
    tune = [t for t in context.trials if t.proposer == "tune"]
    plans = search.plan(context.spec, tune, search.TUNE, search.tune_seeds(context.spec), "tune")
    if plans:  # there are none where features alone teach
        yield from run_plans(context, tune, plans)
    outputs = search.tuned_outputs(context.trials, context.spec.direction, context.outputs)
    edge = outputs.uses_task and outputs.output_weight == max(context.spec.space.output_weight)
    yield Message(
        "tune", f"frozen: {outputs}{', the largest weight tried: widen `space.output_weight`' if edge else ''}"
    )
    return outputs


def noise(context: StudyContext, outputs: Recipe) -> Generator[Update, None, Noise | None]:
    """All controls once, the hand-made mappings on several seeds: do mappings differ beyond seed noise?"""
    spec = context.spec
    if not any(t.proposer == "control" for t in context.trials):
        new = search.control_trials(spec, context.space, context.similarity, outputs, len(context.trials))
        params = [to_params(t.recipe, context.space, spec.space) or {} for t in new]
        context.study.add_trials([replace(t, params=p) for t, p in zip(new, params, strict=True)])
    controls = [t for t in context.trials if t.proposer == "control"]
    noisy = [t for t in controls if t.control in search.NOISE]
    wanted = search.plan(spec, controls, search.SEARCH, search.search_seeds(spec), "search")
    extra = search.plan(spec, noisy, search.SEARCH, search.noise_seeds(spec), "noise")
    yield from run_plans(context, controls, wanted, extra)
    noise = estimate_noise(search.noise_table(context.trials, context.runs))
    if noise is not None:
        yield Message("noise", noise_sentence(noise, spec.search.when_flat))
    return noise


def shortlist(context: StudyContext) -> Iterator[Update]:
    """The best quarter, longer and on two seeds."""
    spec = context.spec
    best = search.shortlist([t for t in context.trials if t.proposer != "matched"], spec.direction)
    yield Message("shortlist", f"{len(best)} recipes remain: trials {', '.join(str(t.number) for t in best)}")
    yield from run_plans(context, [], search.plan(spec, best, search.TUNE, search.tune_seeds(spec), "shortlist"))


def confirm(context: StudyContext) -> Generator[Update, None, int | None]:
    """The finalists and every control at the full schedule, on fresh seeds and data the search never saw."""
    spec, study = context.spec, context.study
    best = _finalists(context)
    known = [t for t in context.trials if t.proposer != "matched"]
    if best:
        study.add_trials(search.missing_matched_trials(best[0].recipe, context.trials, context.space))
    matched = search.matched_to(best[0], context.trials) if best else []
    plain = [t for t in known if t.control in (*search.PLAIN, "article") and t not in best]
    plans = search.plan(
        spec, [*best, *plain, *matched], search.FULL, search.confirm_seeds(spec), "confirm", split="test"
    )
    if best:
        yield Message("confirm", f"nominee: trial {best[0].number}, {best[0].recipe}")
    yield from run_plans(context, matched, plans)
    others = {t.number for t in best[1:]}
    keys = {plan.key for plan in plans if plan.trial not in others}
    raise_if_nothing_came_through([run for run in context.runs if run.key in keys])
    return best[0].number if best else None


def _finalists(context: StudyContext) -> list[Trial]:
    """Chosen once, by runs of earlier stages only, and anew when the study has grown since."""
    spec, trials, facts = context.spec, context.trials, context.study.facts()
    known = [t for t in trials if t.proposer != "matched"]
    choice = len(known), spec.confirm.finalists
    first_matched = next((t.number for t in trials if t.proposer == "matched"), len(known))
    unrecorded = first_matched, spec.confirm.finalists  # how an earlier version of mapsearch chose
    if facts.finalists is not None and choice == (facts.finalists_chosen_from or unrecorded):
        return [trials[number] for number in facts.finalists]
    chosen = search.finalists(known, context.runs, spec.confirm.finalists, spec.direction)
    numbers = tuple(t.number for t in chosen)
    context.study.record_facts(replace(facts, finalists=numbers, finalists_chosen_from=choice))
    return chosen


def give_verdict(context: StudyContext, nominee: int | None, noise: Noise | None) -> Verdict:
    """The nominee against every control, stored as the study's result."""
    study, spec = context.study, context.spec
    trials, runs = context.trials, context.runs
    controls, own = search.verdict_controls(trials, trials[nominee] if nominee is not None else None)
    teacher = study.facts().teacher[spec.metric]
    assert teacher is not None, "the check refuses a teacher whose metric is not finite"
    warnings = weak_teacher(teacher, trials, runs, spec.direction)
    warnings += [REDRAWN] if study.facts().redraws else []
    warnings += idle_features(nominee, runs) if nominee is not None else []
    absent = {t.control for t in trials if t.control} - set(controls) - set(own)
    if absent and nominee is not None:
        warnings.append(f"no comparison with {', '.join(sorted(absent))}: not legal with the nominee's loss")
    if own:
        warnings.append(f"the nominee's mapping is that of the controls {', '.join(own)}: nothing to compare")
    judged_at = tuple(dict.fromkeys((*study.facts().judged_at_seeds, spec.confirm.seeds)))
    if len(judged_at) > 1:
        warnings.append(
            f"judged at {' and then '.join(map(str, judged_at))} seeds: p-values and intervals are those of the last "
            "look alone, and do not count the earlier ones"
        )
    verdict = judge(trials, runs, nominee, controls, spec.direction, noise, spec.confirm.margin, warnings)
    study.record_facts(replace(study.facts(), verdict=verdict, judged_at_seeds=judged_at))
    study.set_state("complete")
    return verdict
