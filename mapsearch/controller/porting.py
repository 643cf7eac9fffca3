"""A study begins where an old one ended, as far as what that found holds for its own networks."""

from collections.abc import Iterator
from dataclasses import replace

from mapsearch import search
from mapsearch.controller.context import StudyContext, Update
from mapsearch.controller.stage_runs import run_plans
from mapsearch.core.errors import SpecError, StudyNotFound
from mapsearch.core.events import Message
from mapsearch.core.port import OldStudy
from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import PROPOSALS, Trial
from mapsearch.porting.carry import carry
from mapsearch.porting.old_study import old_study
from mapsearch.porting.ranking import measured, n_proposals, recipes_again
from mapsearch.report.port import port_sentences
from mapsearch.store.handle import StudyHandle
from mapsearch.store.store import Store


def read_old(store: Store, name: str, new_name: str) -> OldStudy:
    """What the new study needs of the old one.

    Raises:
        StudyNotFound: no study of that name.
        SpecError: it is the new one itself, or has found nothing yet.
    """
    return old_study(store.study(name), store.trials(name), new_name)


def expected_old(store: Store, study: StudyHandle) -> OldStudy | None:
    """What a stored study is to begin with; None where that is nothing, or it has begun already.

    Raises:
        SpecError: the old study is gone, or has found nothing.
    """
    stored = study.study()
    if stored.port_of is None or stored.facts.port is not None:
        return None
    try:
        return read_old(store, stored.port_of, stored.name)
    except StudyNotFound as error:
        raise SpecError(*error.problems) from None


def take_over(study: StudyHandle, spec: StudySpec, old: OldStudy) -> Iterator[Update]:
    """Write down what carries over; once, as long as the study has proposed nothing of its own.

    Raises:
        SpecError: it has, or it took another study over.
    """
    facts = study.facts()
    if facts.port is not None and facts.port.name == old.name:
        return
    if facts.port is not None or any(t.proposer in PROPOSALS for t in study.trials()):
        begun = f"took over `{facts.port.name}`" if facts.port else "has begun its own search"
        raise SpecError(f"study `{spec.name}` {begun}: give the study file a new `name` to port `{old.name}`")
    space = RecipeSpace(facts.layers["student"], facts.layers["teacher"])
    port = carry(old, space, spec.space)
    study.record_facts(replace(facts, port=port))
    yield from (Message("port", line) for line in port_sentences(port))


def run_again(context: StudyContext, base: Recipe) -> Iterator[Update]:
    """Run what the old study ranked once more, and see whether its ranking holds."""
    port = context.study.facts().port
    if port is None:
        return
    trials, spec = context.trials, context.spec
    have = {t.recipe for t in trials if t.proposer == "ported"}
    new = [recipe for recipe in recipes_again(port, base) if recipe not in have]
    context.study.add_trials([Trial(number, "ported", recipe) for number, recipe in enumerate(new, len(trials))])
    if port.is_measured:
        return
    again = [t for t in context.trials if t.proposer == "ported"]
    yield from run_plans(context, again, search.proposal_plans(spec, again), may_fail=True)
    sign = 1.0 if spec.direction == "maximize" else -1.0
    port = measured(port, base, context.trials, sign)
    context.study.record_facts(replace(context.study.facts(), port=port))
    yield from (Message("port", line) for line in port_sentences(port))


def shortened_search(context: StudyContext) -> StudyContext:
    """The context whose search is as long as it needs to be after what was taken over."""
    n_trials = n_proposals(context.spec.search.trials, context.study.facts().port)
    section = context.spec.search.model_copy(update={"trials": n_trials})
    return replace(context, spec=context.spec.model_copy(update={"search": section}))
