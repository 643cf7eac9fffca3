"""The search stage: a worker that becomes free gets the next proposals at once, made from all that is known."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress

from mapsearch import search
from mapsearch.controller.context import StudyContext, Update
from mapsearch.controller.failures import raise_if_all_crashed, raise_if_nothing_came_through
from mapsearch.controller.stage_runs import Runner
from mapsearch.core.errors import DatabaseFailed, StoreError
from mapsearch.core.port import Port
from mapsearch.core.recipe import Recipe
from mapsearch.core.search_problem import Proposal, SearchProblem
from mapsearch.core.search_spec import SamplerName
from mapsearch.core.trials import PROPOSALS, Trial
from mapsearch.porting.ranking import next_carried
from mapsearch.proposers.history import History
from mapsearch.proposers.model_search import propose_by_model
from mapsearch.proposers.optuna_record import OptunaRecord
from mapsearch.proposers.random_search import propose_random

PROPOSERS: Mapping[SamplerName, Callable[[SearchProblem, Sequence[Trial], int], Proposal]] = {
    "model": propose_by_model,
    "random": propose_random,
}
"""What proposes: a function of the problem, of every trial so far and of the proposal's number, and of nothing else."""

RECORD_SECONDS = 5.0
"""How often trials that ended are written to Optuna's tables: several at once cost much less than one by one."""


def try_proposals(context: StudyContext, outputs: Recipe) -> Iterator[Update]:
    """Every proposal of the study, at the first rung.

    With one worker all of a batch have ended before the next is proposed. With several, a worker that becomes free
    gets its share of a batch while the others train; proposers see what is in training.

    Raises:
        StudyFailed: every proposal failed.
    """
    spec, study = context.spec, context.study
    created_at = study.study().created_at
    record = OptunaRecord(study.url, spec.name, spec.metric, spec.direction, created_at, spec.space, study.guarded)
    with closing(record):
        try:
            yield from _try_proposals(context, outputs, record)
        except DatabaseFailed:
            raise  # whoever goes on does it
        except BaseException:  # a search that stops does it too, if it can; it stops in any case
            with suppress(StoreError):
                _write_down(context, record)
            raise
        _write_down(context, record)


def _try_proposals(context: StudyContext, outputs: Recipe, record: OptunaRecord) -> Iterator[Update]:
    spec, trials = context.spec, context.trials  # kept: to read them anew takes longer with each
    known = History(t for t in trials if t.proposer != "matched")  # those saw the test data
    problem, port = _problem(context, outputs, trials), context.study.facts().port
    proposals = [t for t in trials if t.proposer in PROPOSALS]
    runner, n_proposed, written_at = Runner(context), len(proposals), -math.inf
    yield from _keep(known, runner.submit(proposals, search.proposal_plans(spec, proposals)))
    while True:
        while runner.n_free and n_proposed < spec.search.trials:
            if not runner.any_came_through:
                raise_if_all_crashed(runner.ended, at_least=spec.search.batch)
            new = _propose(context, problem, port, trials, known, n_proposed)
            trials += new
            n_proposed += len(new)
            planned = search.proposal_plans(spec, new)
            yield from _keep(known, runner.submit(new, planned, n_workers=1, are_new=True))
        if runner.is_done:
            break
        yield from _keep(known, runner.updates())
        if time.monotonic() - written_at > RECORD_SECONDS:
            _write_down(context, record)
            written_at = time.monotonic()
    raise_if_nothing_came_through(runner.ended)


def _keep(known: History, updates: Iterator[Update]) -> Iterator[Update]:
    """The updates, with the trials among them kept as they ended."""
    for update in updates:
        if isinstance(update, Trial):
            known.put(update)
        yield update


def _problem(context: StudyContext, outputs: Recipe, trials: Sequence[Trial]) -> SearchProblem:
    spec = context.spec
    choices, z = search.with_tuned_rates(spec.space, trials), tuple(map(tuple, context.similarity.z()))
    return SearchProblem(context.space, choices, z, outputs, spec.direction, spec.seed)


def _propose(
    context: StudyContext,
    problem: SearchProblem,
    port: Port | None,
    trials: Sequence[Trial],
    known: History,
    n_before: int,
) -> list[Trial]:
    """A worker's next trials, each made in the knowledge of those before it; some are an old study's."""
    spec, new = context.spec, list[Trial]()
    propose = PROPOSERS[spec.search.sampler]
    for draw in range(n_before, n_before + search.n_to_ask(spec, n_before, context.scheduler.n_workers)):
        number = len(trials) + len(new)
        if carried := next_carried(port, problem.base, [*trials, *new], draw):
            trial = Trial(number, "ported", carried)
        else:
            proposal = propose(problem, known, draw)
            trial = Trial(number, proposal.origin, proposal.recipe, params=dict(proposal.params))
        new.append(trial)
        known.put(trial)
    return new


def _write_down(context: StudyContext, record: OptunaRecord) -> None:
    """Record the trials that have ended, each once; results are stored already, so a crash loses nothing."""
    ended = context.study.untold()
    searched = [t for t in ended if t.recipe.mapping.pairs and t.proposer in (*PROPOSALS, "control")]
    recorded = record.add([t for t in searched if t.state in ("complete", "infeasible")])
    context.study.mark_told({t.number: recorded.get(t.number) for t in ended})
