"""The stages of a study up to its nominee, each resumable: what is there is not done again."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace

from mapsearch import search
from mapsearch.controller.context import StudyContext, Update
from mapsearch.controller.learning import learning_problem
from mapsearch.controller.stage_runs import run_plans
from mapsearch.core.errors import StudyFailed
from mapsearch.core.events import Message
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Noise
from mapsearch.report.study import noise_sentence
from mapsearch.verdict.noise import estimate_noise


def tune(context: StudyContext) -> Generator[Update, None, Mapping[str, Recipe]]:
    """The controls without features, tuned and frozen for the rest of the study: learning rate, losses, weights."""
    if not any(t.proposer == "control" for t in context.trials):
        yield from _tune(context)
    plain = search.tuned(context.trials, context.runs, context.spec.direction)
    for name, recipe in plain.items():
        yield Message("tune", f"frozen: `{name}` is {recipe}")
    yield from (Message("tune", edge) for edge in search.edges(context.spec, plain, context.trials))
    return plain


def _tune(context: StudyContext) -> Iterator[Update]:
    """Every recipe without features in short runs, the best of them at every learning rate, and beyond the last."""
    spec, recipes = context.spec, search.tune_recipes(context.spec, context.outputs)
    if not recipes:
        return  # features alone teach
    context.study.add_trials(search.missing_trials(recipes, context.trials))
    first = [t for t in context.trials if t.recipe in recipes]
    yield from run_plans(context, first, search.tune_plans(spec, first))
    numbers = {t.number for t in first}
    best = search.tuned_further(spec, [t for t in context.trials if t.number in numbers])
    more = search.missing_trials(search.at_every_rate(spec, best), context.trials)
    while True:
        context.study.add_trials(more)
        further = [t for t in context.trials if t.number not in numbers]
        wanted = search.plan(spec, [*best, *further], search.TUNE, search.tune_seeds(spec), "tune")
        yield from run_plans(context, further, wanted)
        more = search.missing_trials(search.beyond_edges(spec, context.trials, context.runs), context.trials)
        if not more:
            break
    if problem := learning_problem(context, search.TUNE, range(len(context.trials))):
        raise StudyFailed(
            f"stage tune: {problem}; raise `train.steps` or `search.rungs`, change `train.lr`, or look at the labels, "
            "and give the study a new `name`"
        )


def noise(context: StudyContext, plain: Mapping[str, Recipe]) -> Generator[Update, None, Noise | None]:
    """All controls once, the hand-made mappings on several seeds: do mappings differ beyond seed noise?"""
    spec = context.spec
    if not any(t.proposer == "control" for t in context.trials):
        mappings, coinciding = search.hand_made(spec, context.space, context.similarity, context.study.facts().copied)
        yield from (Message("noise", f"control `{a}` is left out: it is `{b}` here") for a, b in coinciding.items())
        new = search.control_trials(spec, context.space, mappings, plain, len(context.trials))
        context.study.add_trials(new)
    controls = [t for t in context.trials if t.proposer == "control"]
    noisy = [t for t in controls if t.control in search.NOISE]
    wanted = search.plan(spec, controls, search.SEARCH, search.search_seeds(spec), "search")
    extra = search.plan(spec, noisy, search.SEARCH, search.noise_seeds(spec), "noise")
    yield from run_plans(context, controls, wanted, extra)
    if problem := learning_problem(context, search.SEARCH, {t.number for t in controls}):
        yield Message(
            "noise", f"warning: {problem}; raise the first of `search.rungs`: such runs cannot steer a search"
        )
    noise = estimate_noise(search.noise_table(context.trials, context.runs))
    if noise is not None:
        yield Message("noise", noise_sentence(noise, spec.search.when_flat))
    return noise


def shortlist(context: StudyContext) -> Generator[Update, None, Trial | None]:
    """A race on fresh seeds, longer each time; who wins it at the full schedule is the nominee.

    Decided by validation data alone and once, and anew when the search has grown since.
    """
    spec, facts = context.spec, context.study.facts()
    known = [t for t in context.trials if t.proposer != "matched"]
    choice = len(known), spec.confirm.finalists
    if facts.finalists is not None and facts.finalists_chosen_from == choice:
        return context.trials[facts.finalists[0]] if facts.finalists else None
    best = search.shortlist(known, spec.direction)
    raced, keys = search.n_raced(len(best), spec.confirm.finalists), set[tuple[int, int]]()
    rungs = (search.TUNE, search.TUNE, search.FULL)
    left = (raced, spec.confirm.finalists, spec.confirm.finalists)
    for rung, seeds, n_left in zip(rungs, search.shortlist_seeds(spec), left, strict=True):
        if rung == search.FULL and len(best) == 1:
            break  # nobody is left to race against
        yield Message("shortlist", f"{len(best)} recipes remain: trials {', '.join(str(t.number) for t in best)}")
        yield from run_plans(context, [], search.plan(spec, best, rung, seeds, "shortlist"))
        keys = {key for key in keys if key[0] == rung} | {(rung, seed) for seed in seeds}
        best = search.best_of_round(best, context.runs, keys, n_left, spec.direction)
    numbers = tuple(t.number for t in best)
    context.study.record_facts(replace(facts, finalists=numbers, finalists_chosen_from=choice))
    return best[0] if best else None
