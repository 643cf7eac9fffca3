"""The search stage: a worker that becomes free gets the next proposals at once, made from all that is known."""

from collections.abc import Iterator
from contextlib import closing

from mapsearch import search
from mapsearch.controller.context import StudyContext, Update
from mapsearch.controller.failures import raise_if_all_crashed, raise_if_nothing_came_through
from mapsearch.controller.stage_runs import Runner
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.proposers.encoding import local_move, to_recipe
from mapsearch.proposers.sampler import Sampler


def try_proposals(context: StudyContext, outputs: Recipe) -> Iterator[Update]:
    """Every proposal of the study, at the first rung.

    With one worker each batch is told to the sampler before the next is asked for. With several, a worker
    that becomes free asks for its share of a batch while the others train; the sampler knows what they train.

    Raises:
        StudyFailed: every proposal failed.
    """
    trials = {t.number: t for t in context.trials}  # kept: to read them at every ask takes longer with each
    with closing(_open_sampler(context, list(trials.values()))) as sampler:
        yield from _try_proposals(context, outputs, sampler, trials)


def _try_proposals(
    context: StudyContext, outputs: Recipe, sampler: Sampler, trials: dict[int, Trial]
) -> Iterator[Update]:
    spec = context.spec
    sampler.forget_all_but(t.sampler_number for t in trials.values() if t.sampler_number is not None)
    proposals = [t for t in trials.values() if t.proposer in search.PROPOSALS]
    runner, n_proposed = Runner(context), len(proposals)
    yield from _keep(trials, runner.submit(proposals, search.proposal_plans(spec, proposals)))
    while True:
        while runner.n_free and n_proposed < spec.search.trials:
            raise_if_all_crashed(runner.ended, at_least=spec.search.batch)
            _tell(context, sampler)
            new = _propose(context, list(trials.values()), sampler, outputs, n_proposed)
            context.study.add_trials(new)
            trials |= {t.number: t for t in new}
            n_proposed += len(new)
            yield from _keep(trials, runner.submit(new, search.proposal_plans(spec, new), n_workers=1))
        if runner.is_done:
            break
        yield from _keep(trials, runner.updates())
    _tell(context, sampler)
    raise_if_nothing_came_through(runner.ended)


def _keep(trials: dict[int, Trial], updates: Iterator[Update]) -> Iterator[Update]:
    """The updates, with the trials among them kept as they ended."""
    for update in updates:
        if isinstance(update, Trial):
            trials[update.number] = update
        yield update


def _open_sampler(context: StudyContext, trials: list[Trial]) -> Sampler:
    spec, study, space = context.spec, context.study, context.space
    choices = search.with_tuned_rates(spec.space, trials)
    return Sampler(
        study.url, spec.name, spec.direction, choices, len(space.student), len(space.teacher),
        spec.search.sampler, spec.seed, study.study().created_at, study.guarded,
    )  # fmt: skip


def _propose(
    context: StudyContext, trials: list[Trial], sampler: Sampler, outputs: Recipe, n_before: int
) -> list[Trial]:
    """A worker's next trials: mostly depth curves, some free choices, every other of those a neighbour of the best."""
    spec = context.spec
    best = search.incumbent(trials, spec.direction)
    z = context.similarity.z()
    share: list[Trial] = []
    for draw in range(n_before, n_before + search.n_to_ask(spec, n_before, context.scheduler.n_workers)):
        number, asked = len(trials) + len(share), None
        if not search.is_free(draw, spec.space.free):
            asked, params = sampler.ask("curve", draw, number)
        elif best is not None and search.is_free(draw, spec.space.free / 2):
            params = local_move(best.recipe, context.space, spec.seed + draw)
        else:
            asked, params = sampler.ask("free", draw, number)
        recipe = to_recipe(params, context.space, z, outputs)
        share.append(
            Trial(number, "curve" if "lo" in params else "free", recipe or outputs, params=params, sampler_number=asked)
        )
    return share


def _tell(context: StudyContext, sampler: Sampler) -> None:
    """Tell the sampler each result it can learn from, once; the result is already stored, so a crash loses nothing."""
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
