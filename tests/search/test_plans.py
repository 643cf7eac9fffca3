import pytest
from search_samples import SPEC, trial

from mapsearch import search
from mapsearch.core.spec import StudySpec


def test_confirm_seeds_are_seen_by_no_earlier_stage():
    spec = StudySpec(name="x", task="x.py:X", seed=7, search={"seeds": 9, "noise_seeds": 5})
    early = {*search.tune_seeds(spec), *search.search_seeds(spec), *search.noise_seeds(spec)}
    rounds = [seed for seeds in search.shortlist_seeds(spec) for seed in seeds]
    assert len(rounds) == len({*rounds}) == 4
    assert not early & {*rounds}
    assert not {*early, *rounds} & {*search.confirm_seeds(spec, 100)}
    assert search.confirm_seeds(spec, 6) == search.confirm_seeds(spec, 100)[:6]
    assert set(search.search_seeds(spec)) <= set(search.noise_seeds(spec))


def test_a_plan_is_a_run_per_trial_and_seed():
    plans = search.plan(SPEC, [trial(3, 0.1), trial(4, 0.2)], search.FULL, [7, 8], "confirm", "test")
    assert [p.key for p in plans] == [(3, 2, 7), (4, 2, 7), (3, 2, 8), (4, 2, 8)]
    assert {(p.stage, p.split, p.n_steps) for p in plans} == {("confirm", "test", 300)}
    assert search.plan(SPEC, [trial(3, 0.1)], search.SEARCH, [7], "search")[0].n_steps == 45


@pytest.mark.parametrize(
    ("n_workers", "largest", "sizes"), [(1, 8, [5, 5]), (4, 8, [3, 2, 3, 2]), (1, 2, [2, 2, 1] * 2), (99, 8, [1] * 10)]
)
def test_cohorts_share_seed_and_steps_and_keep_workers_busy(n_workers, largest, sizes):
    plans = search.plan(SPEC, [trial(i, 0.1) for i in range(5)], search.SEARCH, [7, 8], "search")
    found = search.cohorts(plans, n_workers, largest)
    assert [len(cohort) for cohort in found] == sizes
    assert sorted(p.key for cohort in found for p in cohort) == sorted(p.key for p in plans)
    assert all(len({(p.seed, p.n_steps, p.split) for p in cohort}) == 1 for cohort in found)


def test_no_plans_are_no_cohorts():
    assert search.cohorts([], 2, 8) == []


def test_a_free_worker_gets_its_share_of_a_batch_as_long_as_there_are_proposals():
    spec = SPEC.model_copy(update={"search": SPEC.search.model_copy(update={"batch": 8, "trials": 20})})
    assert [search.n_to_ask(spec, 0, n) for n in (1, 2, 3, 8, 500)] == [8, 4, 3, 1, 1]
    assert [search.n_to_ask(spec, n, 1) for n in (0, 16, 19, 20)] == [8, 4, 1, 0]
