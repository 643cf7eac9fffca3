"""What every proposer must hold, and what the default one must learn."""

from dataclasses import replace
from statistics import fmean

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mapsearch.controller.proposals import PROPOSERS
from mapsearch.core.trials import PROPOSALS, Trial
from mapsearch.proposers import model_search


def worth_of_mapping(recipe):
    """Near teacher layer 6 the better, whatever the student layer."""
    total = sum(p.weight for p in recipe.mapping.pairs)
    return sum(p.weight * 0.6 ** abs(int(p.teacher[2:]) - 6) for p in recipe.mapping.pairs) / total


def worth_of_settings(recipe):
    """By its loss and learning rate alone."""
    return (recipe.loss == "cosine") + (recipe.lr_factor == 3.0)


def worth(recipe):
    """By its mapping, and `cosine` is worth a bit."""
    return worth_of_mapping(recipe) + 0.2 * (recipe.loss == "cosine")


def search(propose, problem, n, sign=1.0, state=lambda number: "complete", worth=worth):
    trials = []
    for number in range(n):
        proposal = propose(problem, trials, number)
        known = state(number)
        value = sign * worth(proposal.recipe) if known == "complete" else None
        trials.append(
            Trial(number, proposal.origin, proposal.recipe, params=dict(proposal.params), state=known, value=value)
        )
    return trials


@pytest.mark.parametrize("propose", PROPOSERS.values(), ids=PROPOSERS)
@pytest.mark.parametrize(("S", "T"), [(1, 1), (1, 9), (3, 2), (4, 12)])
def test_proposals_are_legal_the_same_again_and_rarely_twice(propose, problem, S, T):
    here = problem(S, T, projector=("linear", "mlp"), aggregation=("sum", "mix"))
    trials = search(propose, here, 12)
    for number, trial in enumerate(trials):
        assert here.space.problems(trial.recipe) == []
        assert trial.recipe.output_weight == 3.0
        assert trial.proposer in PROPOSALS
        again = propose(here, trials[:number], number)
        assert (again.recipe, again.origin, dict(again.params)) == (trial.recipe, trial.proposer, trial.params)
    assert len({t.recipe for t in trials}) >= 11
    assert propose(replace(here, seed=1), [], 0).recipe != trials[0].recipe


@pytest.mark.parametrize("propose", PROPOSERS.values(), ids=PROPOSERS)
def test_where_nothing_is_legal_nothing_is_mapped(propose, problem):
    here = problem(2, 3, kinds=["tokens", "tokens"])
    trials = search(propose, here, 6, state=lambda number: "infeasible")
    assert not any(t.recipe.mapping.pairs for t in trials)


@pytest.mark.parametrize("propose", PROPOSERS.values(), ids=PROPOSERS)
def test_trials_in_training_and_failed_ones_are_no_obstacle(propose, problem):
    states = ("complete", "waiting", "infeasible", "crashed")
    search(propose, problem(3, 6), 16, state=lambda number: states[number % 4])


@pytest.mark.parametrize(("direction", "sign"), [("maximize", 1.0), ("minimize", -1.0)])
def test_the_model_learns_which_way_is_better(problem, direction, sign):
    here = problem(4, 12, direction=direction)
    model, chance = (search(PROPOSERS[name], here, 40, sign) for name in ("model", "random"))
    late = [fmean(worth(t.recipe) for t in trials[20:] if t.number % 2 == 0) for trials in (model, chance)]
    assert late[0] > late[1] + 0.25


def test_the_model_proposes_nothing_twice_even_where_only_settings_are_left(problem):
    here = problem(1, 1, feature_share=(0.5, 0.5), lr=(0.3, 1.0, 3.0))
    trials = search(PROPOSERS["model"], here, 12)
    assert len({t.recipe for t in trials if t.number % 2 == 0}) >= 5


@pytest.mark.parametrize(("worth", "tried_again"), [(worth_of_settings, True), (worth_of_mapping, False)])
def test_only_where_settings_matter_known_mappings_are_tried_at_others(problem, worth, tried_again):
    here = problem(4, 12, loss=("nmse", "cosine"), lr=(1.0, 3.0))
    trials = search(PROPOSERS["model"], here, 40, worth=worth)
    known = [t.recipe.mapping in {before.recipe.mapping for before in trials[: t.number]} for t in trials[23::4]]
    assert known == [tried_again] * len(known)


def test_unless_asked_for_no_drawn_mapping_follows_the_similarity(problem):
    z = [[3.0, 0.0, 0.0, -3.0], [-3.0, 0.0, 0.0, 3.0]]
    drawn = [search(PROPOSERS["random"], problem(2, 4, values), 20) for values in (z, None)]
    assert [t.recipe for t in drawn[0]] == [t.recipe for t in drawn[1]]
    followed = search(PROPOSERS["random"], problem(2, 4, z, similarity_weight=(2.0, 2.0)), 20)
    assert [t.recipe for t in followed] != [t.recipe for t in drawn[0]]


def test_two_far_teachers_in_every_row_are_tried_once(problem):
    trials = search(PROPOSERS["model"], problem(3, 6), 14)
    pairs = [(p.student, p.teacher) for t in trials if t.params.get("shift") == t.params.get("end") == 0.5
             for p in t.recipe.mapping.pairs]  # fmt: skip
    assert pairs == [(f"s.{s}", f"t.{t}") for s, two in enumerate([(0, 2), (1, 4), (2, 5)]) for t in two]


def test_two_far_teachers_that_an_older_study_brought_are_not_tried_again(problem):
    here = problem(3, 6, loss=("nmse",), lr=(1.0,), feature_share=(0.5, 0.5))
    trials = search(PROPOSERS["model"], here, 5)
    assert trials[-1].params["shift"] == 0.5
    brought = [*trials[:-1], replace(trials[-1], proposer="ported", params={})]
    assert PROPOSERS["model"](here, brought, 6).recipe.mapping != trials[-1].recipe.mapping


def test_what_cannot_be_run_is_left(problem):
    here, trials = problem(3, 6), []
    for number in range(30):
        proposal = PROPOSERS["model"](here, trials, number)
        bad = proposal.recipe.loss == "nmse"
        trials.append(
            Trial(
                number, proposal.origin, proposal.recipe, params=dict(proposal.params),
                state="infeasible" if bad else "complete", value=None if bad else worth(proposal.recipe),
            )
        )  # fmt: skip
    assert [t.recipe.loss for t in trials[14::2]].count("nmse") <= 2


def test_the_model_uses_one_thread_of_blas_and_gives_the_others_back(problem, monkeypatch):
    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    seen, fit = [], model_search.fitted
    monkeypatch.setattr(model_search, "fitted", lambda *told: seen.extend(threads()) or fit(*told))
    with threadpool_limits(2, user_api="blas"):
        search(model_search.propose_by_model, problem(3, 6), 8)
        assert set(threads()) == {2}
    assert set(seen) == {1}
