"""The stages of a study after it was checked and compared, each resumable: what is there is not done again."""

from collections.abc import Generator, Iterator
from dataclasses import replace

from mapsearch import search
from mapsearch.controller.context import StudyContext, Update, train
from mapsearch.core.events import Message
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Noise, Verdict
from mapsearch.proposers.encoding import local_move, to_params, to_recipe
from mapsearch.proposers.sampler import Sampler
from mapsearch.report import noise_sentence
from mapsearch.verdict.judge import judge
from mapsearch.verdict.noise import estimate_noise
from mapsearch.verdict.warnings import weak_teacher


def tune(context: StudyContext) -> Generator[Update, None, Recipe]:
    """Logit weight and temperature without features, frozen for the rest of the study."""
    if not context.trials:
        context.study.add_trials(search.tune_trials(context.spec))
    tune = [t for t in context.trials if t.proposer == "tune"]
    yield from train(
        context, tune, search.plan(context.spec, tune, search.TUNE, search.tune_seeds(context.spec), "tune")
    )
    logits = search.tuned_logits(context.trials, context.spec.direction, "kl")
    edge = logits.logit_weight == max(context.spec.space.logit_weight)
    yield Message("tune", f"frozen: {logits}{'; the largest weight tried: widen `space.logit_weight`' if edge else ''}")
    return logits


def noise(context: StudyContext, logits: Recipe) -> Generator[Update, None, Noise | None]:
    """All controls once, the hand-made mappings on several seeds: do mappings differ beyond seed noise?"""
    spec = context.spec
    if not any(t.proposer == "control" for t in context.trials):
        strong = search.tuned_logits(context.trials, spec.direction, "dkd")
        new = search.control_trials(spec, context.space, context.similarity, logits, strong, len(context.trials))
        params = [to_params(t.recipe, context.space, spec.space) or {} for t in new]
        context.study.add_trials([replace(t, params=p) for t, p in zip(new, params, strict=True)])
    controls = [t for t in context.trials if t.proposer == "control"]
    noisy = [t for t in controls if t.control in search.NOISE]
    wanted = search.plan(spec, controls, search.SEARCH, search.search_seeds(spec), "search")
    extra = search.plan(spec, noisy, search.SEARCH, search.noise_seeds(spec), "noise")
    yield from train(context, controls, wanted, extra)
    noise = estimate_noise(search.noise_table(context.trials, context.runs))
    if noise is not None:
        yield Message("noise", noise_sentence(noise, spec.search.when_flat))
    return noise


def try_proposals(context: StudyContext, logits: Recipe) -> Iterator[Update]:
    """Batches of proposals, each told to the sampler before the next is asked for."""
    spec, study = context.spec, context.study
    sampler = Sampler(
        study.url, spec.name, spec.direction, spec.space, len(context.space.student), len(context.space.teacher),
        spec.search.sampler, spec.seed, study.study().created_at,
    )  # fmt: skip
    sampler.forget_all_but(t.sampler_number for t in context.trials if t.sampler_number is not None)
    while True:
        _tell(context, sampler)
        proposals = [t for t in context.trials if t.proposer in ("curve", "free")]
        waiting = [t for t in proposals if t.state == "waiting"]
        if not waiting:
            waiting = _propose(context, sampler, logits, len(proposals))
            study.add_trials(waiting)
        if not waiting:
            return
        plans = search.plan(spec, waiting, search.SEARCH, search.search_seeds(spec), "search")
        yield from train(context, waiting, [p for p in plans if p.recipe.mapping.pairs])


def _propose(context: StudyContext, sampler: Sampler, logits: Recipe, n_before: int) -> list[Trial]:
    """The next batch: mostly depth curves, some free choices, every other of those a neighbour of the best."""
    spec, trials = context.spec, context.trials
    best = search.incumbent(trials, spec.direction)
    z = context.similarity.z()
    batch: list[Trial] = []
    for draw in range(n_before, min(n_before + spec.search.batch, spec.search.trials)):
        number, asked = len(trials) + len(batch), None
        if not search.is_free(draw, spec.space.free):
            asked, params = sampler.ask("curve", draw, number)
        elif best is not None and search.is_free(draw, spec.space.free / 2):
            params = local_move(best.recipe, context.space, spec.seed + draw)
        else:
            asked, params = sampler.ask("free", draw, number)
        recipe = to_recipe(params, context.space, z, logits)
        batch.append(
            Trial(number, "curve" if "lo" in params else "free", recipe or logits, params=params, sampler_number=asked)
        )
    return batch


def _tell(context: StudyContext, sampler: Sampler) -> None:
    """Tell the sampler every result it can learn from, once: our row came first, so a crash loses nothing."""
    untold = context.study.untold()
    for trial in untold:
        value = trial.value if trial.state == "complete" else None
        if trial.state == "crashed":
            if trial.sampler_number is not None:
                sampler.forget(trial.sampler_number)
        elif trial.sampler_number is not None:
            sampler.tell(trial.sampler_number, value)
        elif trial.params:
            number = sampler.add(trial.params, value, trial.number)
            context.study.set_sampler_number(trial.number, number)
    context.study.mark_told([trial.number for trial in untold])


def shortlist(context: StudyContext) -> Iterator[Update]:
    """The best quarter, longer and on two seeds."""
    spec = context.spec
    best = search.shortlist([t for t in context.trials if t.proposer != "matched"], spec.direction)
    yield Message("shortlist", f"{len(best)} recipes go on: trials {', '.join(str(t.number) for t in best)}")
    yield from train(context, [], search.plan(spec, best, search.TUNE, search.tune_seeds(spec), "shortlist"))


def confirm(context: StudyContext) -> Generator[Update, None, int | None]:
    """The finalists and every control at the full schedule, on fresh seeds and data the search never saw."""
    spec, study = context.spec, context.study
    known = [t for t in context.trials if t.proposer != "matched"]
    numbers = study.study().facts.get("finalists")
    if numbers is None:  # chosen once, before any run of this stage is seen
        chosen = search.finalists(known, context.runs, spec.confirm.finalists, spec.direction)
        study.record_facts(finalists=(numbers := [t.number for t in chosen]))
    best = [known[number] for number in numbers]
    if best and not any(t.proposer == "matched" for t in context.trials):
        study.add_trials(search.matched_trials(best[0].recipe, known, context.space, len(known)))
    matched = [t for t in context.trials if t.proposer == "matched"]
    plain = [t for t in known if t.control in (*search.PLAIN, "article") and t not in best]
    plans = search.plan(
        spec, [*best, *plain, *matched], search.FULL, search.confirm_seeds(spec), "confirm", split="test"
    )
    if best:
        yield Message("confirm", f"nominee: trial {best[0].number}, {best[0].recipe}")
    yield from train(context, matched, plans)
    return best[0].number if best else None


def give_verdict(context: StudyContext, nominee: int | None, noise: Noise | None) -> Verdict:
    """The nominee against every control, stored as the study's result."""
    study, spec = context.study, context.spec
    trials, runs = context.trials, context.runs
    controls, own = search.verdict_controls(trials, trials[nominee] if nominee is not None else None)
    teacher = study.study().facts["teacher"][spec.metric]
    cautions = weak_teacher(teacher, trials, runs, spec.direction)
    absent = {t.control for t in trials if t.control} - set(controls) - set(own)
    if absent and nominee is not None:
        cautions.append(f"no comparison with {', '.join(sorted(absent))}: not legal with the nominee's loss")
    if own:
        cautions.append(f"the nominee's mapping is that of the controls {', '.join(own)}: nothing to compare")
    verdict = judge(trials, runs, nominee, controls, spec.direction, noise, spec.confirm.margin, cautions)
    study.record_facts(verdict=verdict.to_json())
    study.set_state("complete")
    return verdict
