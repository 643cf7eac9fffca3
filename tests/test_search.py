from dataclasses import replace

import pytest

from mapsearch import search
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run, RunPlan
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial

SPEC = StudySpec(name="x", task="x.py:X", seed=7)
SPACE = RecipeSpace(
    *(tuple(Layer(f"{x}.{i}", "B", "vector", (8,), 1) for i in range(n)) for x, n in (("s", 2), ("t", 4)))
)
SIMILARITY = Similarity(
    ("s.0", "s.1"), SPACE.teacher_layers, ((0.9, 0.1, 0.0, 0.0), (0.0, 0.8, 0.7, 0.1)), 0.05, "cka", 64, ""
)
LOGITS = Recipe(output_weight=3.0, temperature=4.0)
STRONG = Recipe(output_weight=1.0, temperature=4.0, output_loss="dkd")


def mapped(teacher="t.0", weight=1.0, **fields):
    fields = {"feature_share": 0.5} | fields
    return Recipe(LayerMapping((Pair("s.0", teacher, weight), Pair("s.1", "t.3", weight))), **fields)


def trial(number, value, recipe=None, **fields):
    state = "complete" if value is not None else "infeasible"
    recipe = recipe or replace(mapped(), anneal=1 / (1 + number))  # no two alike
    return Trial(number, "curve", recipe, state=state, value=value, **fields)


def run(number, seed=0, value=0.5, rung=search.SEARCH, state="complete"):
    return Run(number, rung, seed, "search", "valid", 10, state, 1, value if state == "complete" else None, None)


def test_confirm_seeds_are_seen_by_no_earlier_stage():
    spec = StudySpec(name="x", task="x.py:X", seed=7, search={"seeds": 9, "noise_seeds": 5})
    early = {*search.tune_seeds(spec), *search.search_seeds(spec), *search.noise_seeds(spec)}
    assert not early & set(search.confirm_seeds(spec))
    assert len(search.confirm_seeds(spec)) == 6
    assert set(search.search_seeds(spec)) <= set(search.noise_seeds(spec))


def test_tune_tries_every_output_weight_at_every_temperature():
    trials = search.tune_trials(SPEC)
    assert trials[0].recipe == Recipe()
    assert [t.number for t in trials] == list(range(len(trials)))
    tried = {(t.recipe.output_loss, t.recipe.output_weight, t.recipe.temperature) for t in trials[1:]}
    weights = (0.3, 1.0, 3.0)
    assert tried == {("kl", w, t) for w in weights for t in (2.0, 4.0)} | {("dkd", w, 4.0) for w in weights}


@pytest.mark.parametrize(("direction", "weight"), [("maximize", 3.0), ("minimize", 0.3)])
def test_the_best_logits_are_frozen(direction, weight):
    trials = [
        Trial(0, "tune", Recipe(), state="complete", value=-9.0 if direction == "minimize" else 9.0),
        Trial(1, "tune", Recipe(output_weight=0.3), state="complete", value=0.1),
        Trial(2, "tune", Recipe(output_weight=1.0), state="infeasible"),
        Trial(3, "tune", Recipe(output_weight=3.0), state="complete", value=0.2),
        Trial(4, "tune", Recipe(output_loss="dkd", output_weight=9.0), state="complete", value=0.15),
        Trial(5, "tune", Recipe(output_loss="dkd", output_weight=5.0), state="crashed"),
    ]
    assert search.tuned_outputs(trials, direction, "kl").output_weight == weight
    assert search.tuned_outputs(trials, direction, "dkd").output_weight == 9.0


def test_where_no_logits_could_be_trained_the_first_tried_are_taken():
    assert search.tuned_outputs(search.tune_trials(SPEC), "maximize", "kl").output_weight == 0.3


def test_controls_carry_the_tuned_outputs_and_the_studys_settings():
    trials = search.control_trials(SPEC, SPACE, SIMILARITY, LOGITS, STRONG, first=7)
    by_name = {t.control: t.recipe for t in trials}
    assert [t.number for t in trials] == list(range(7, 7 + len(trials)))
    assert set(by_name) == {
        "none", "outputs", "outputs_strong", "uniform", "last", "first", "reverse", "random", "all",
        "similarity", "placebo", "article",
    }  # fmt: skip
    assert by_name["outputs_strong"] == STRONG
    for name in by_name.keys() - {"none", "outputs_strong"}:
        assert (by_name[name].output_weight, by_name[name].temperature) == (3.0, 4.0), name
    assert str(by_name["uniform"].mapping) == "s.0 <- t.1 | s.1 <- t.3"
    assert str(by_name["similarity"].mapping) == "s.0 <- t.0 | s.1 <- t.1"
    assert by_name["article"].mapping == by_name["uniform"].mapping
    assert (by_name["article"].feature_share, by_name["uniform"].feature_share) == (0.8, 0.5)


def test_control_shares_stay_in_the_sampled_range():
    spec = StudySpec(
        name="x", task="x.py:X", space={"feature_share": (0.6, 0.7), "anneal": (0.5,), "loss": ("cosine",)}
    )
    trials = search.control_trials(spec, SPACE, SIMILARITY, LOGITS, STRONG, first=0)
    uniform = next(t.recipe for t in trials if t.control == "uniform")
    assert (uniform.feature_share, uniform.anneal, uniform.loss) == (0.6, 0.5, "cosine")


def test_a_control_whose_rows_cannot_be_mixed_is_summed():
    wide = replace(SPACE, teacher=(*SPACE.teacher[:3], Layer("t.3", "B", "vector", (16,), 1)))
    spec = StudySpec(name="x", task="x.py:X", space={"aggregation": ("fuse", "sum"), "balance": ("gate",)})
    by_name = {t.control: t.recipe for t in search.control_trials(spec, wide, SIMILARITY, LOGITS, STRONG, first=0)}
    assert {name for name, recipe in by_name.items() if recipe.aggregation == "fuse"} == {
        "uniform", "last", "first", "reverse", "random", "similarity", "placebo",
    }  # fmt: skip
    assert by_name["all"].aggregation == "sum"
    assert {by_name[name].balance for name in ("all", "uniform")} == {"gate"}
    assert {by_name[name].balance for name in ("none", "outputs", "article")} == {"frozen"}


def test_matched_controls_differ_from_the_nominee_in_the_mapping_alone():
    trials = search.control_trials(SPEC, SPACE, SIMILARITY, LOGITS, STRONG, first=0)
    by_name = {t.control: t for t in trials}
    nominee = Recipe(by_name["last"].recipe.mapping, "cosine", feature_share=0.3, anneal=0.5, output_weight=3.0)
    matched = search.matched_trials(nominee, trials, SPACE, first=50)
    same = {t.control for t in trials if search.same_mapping(t.recipe.mapping, nominee.mapping)}
    assert "last" in same
    assert not same & {t.control for t in matched}
    numbers, own = search.verdict_controls([*trials, *matched], Trial(40, "curve", nominee))
    assert set(own) == same - {"none", "outputs", "outputs_strong", "article"}
    assert {*numbers, *own} == {t.control for t in trials}  # every control is there, under its twin's number at least
    mappings = [t.recipe.mapping for t in matched]
    assert not any(search.same_mapping(a, b) for i, a in enumerate(mappings) for b in mappings[:i])
    assert [t.number for t in matched] == list(range(50, 50 + len(matched)))
    for t in matched:
        assert t.recipe.to_json() | {"pairs": 0} == nominee.to_json() | {"pairs": 0}


def test_a_new_nominee_gets_matched_trials_of_its_own_and_is_judged_against_those():
    trials = search.control_trials(SPEC, SPACE, SIMILARITY, LOGITS, STRONG, first=0)
    first, second = (replace(mapped("t.2"), output_weight=3.0, feature_share=share) for share in (0.3, 0.7))
    trials.append(Trial(len(trials), "curve", first))
    trials += search.missing_matched_trials(first, trials, SPACE)
    assert search.missing_matched_trials(first, trials, SPACE) == []
    trials.append(Trial(len(trials), "curve", second))
    nominee = trials[-1]
    new = search.missing_matched_trials(second, trials, SPACE)
    assert [t.number for t in new] == list(range(len(trials), len(trials) + len(new)))
    trials += new
    assert search.matched_to(nominee, trials) == new
    numbers, _ = search.verdict_controls(trials, nominee)
    shares = {trials[n].recipe.feature_share for n in numbers.values() if trials[n].proposer == "matched"}
    assert shares == {0.7}


def test_mappings_are_the_same_up_to_a_common_factor():
    assert search.same_mapping(mapped(weight=1.0).mapping, mapped(weight=7.0).mapping)
    assert not search.same_mapping(mapped("t.0").mapping, mapped("t.1").mapping)
    assert not search.same_mapping(mapped().mapping, LayerMapping((Pair("s.0", "t.0", 1.0), Pair("s.1", "t.3", 2.0))))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.5, 1.0])
def test_free_proposals_are_spread_evenly(share):
    chosen = [search.is_free(draw, share) for draw in range(100)]
    assert sum(chosen) == round(100 * share)
    assert all(abs(sum(chosen[:n]) - n * share) <= 1 for n in range(100))


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


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([run(1, 0, 0.4), run(1, 1, 0.6)], ("complete", 0.5)),
        ([run(1, 0, 0.4), run(1, 1, state="crashed")], ("complete", 0.4)),
        ([run(1, 0, 0.4), run(1, 1, state="diverged")], ("infeasible", None)),
        ([run(1, 0, state="oom")], ("infeasible", None)),
        ([run(1, 0, state="crashed"), run(1, 1, state="crashed")], ("crashed", None)),
        ([run(1, 0, 0.4), run(1, 5, 0.9), run(2, 0, 0.9), run(1, 0, 0.9, rung=1)], ("complete", 0.4)),
    ],
)
def test_a_trial_is_the_mean_of_the_runs_it_was_given(runs, expected):
    wanted = [RunPlan(1, mapped(), 0, seed, "search", "valid", 10) for seed in (0, 1)]
    assert search.outcome(Trial(1, "curve", mapped()), runs, wanted) == expected


def test_by_seed_holds_complete_runs_of_the_rung():
    runs = [run(1, 0, 0.4), run(1, 1, 0.5), run(2, 0, state="oom"), run(3, 0, 0.6, rung=1)]
    assert search.by_seed(runs, search.SEARCH) == {1: {0: 0.4, 1: 0.5}}


def test_noise_is_measured_on_hand_made_mappings():
    trials = [
        replace(trial(1, 0.1, control="uniform"), proposer="control"),
        replace(trial(2, 0.1, control="article"), proposer="control"),
        trial(3, 0.1),
        replace(trial(4, 0.1, control="last"), proposer="control"),
    ]
    trials.append(replace(trials[0], number=5, control="first"))  # the same recipe once more is no second mapping
    assert search.noise_table(trials, [run(1), run(2), run(3), run(5)]) == {1: {0: 0.5}}


@pytest.mark.parametrize(("n", "kept"), [(2, 2), (8, 3), (40, 10)])
def test_the_shortlist_is_the_best_quarter_with_features(n, kept):
    trials = [trial(i, i / 100) for i in range(n)] + [trial(90, 0.99, LOGITS), trial(91, None)]
    assert [t.number for t in search.shortlist(trials, "maximize")] == list(range(n - 1, n - 1 - kept, -1))
    assert [t.number for t in search.shortlist(trials, "minimize")] == list(range(kept))


def test_finalists_are_ranked_at_the_shortlist_rung():
    trials = [trial(i, 0.1) for i in range(4)] + [trial(4, 0.1, LOGITS)]
    runs = [
        run(i, seed, value, rung=search.TUNE)
        for i, value in ((0, 0.3), (1, 0.9), (2, 0.6), (4, 1.0))
        for seed in (0, 1)
    ]
    assert [t.number for t in search.finalists(trials, runs, 2, "maximize")] == [1, 2]
    assert [t.number for t in search.finalists(trials, runs, 9, "minimize")] == [0, 2, 1]
    assert search.finalists(trials, [], 3, "maximize") == []


def test_the_incumbent_is_the_best_recipe_whose_settings_are_sampled():
    trials = [
        trial(1, 0.6),
        trial(2, 0.7),
        trial(3, 0.7),
        trial(4, 0.8, LOGITS),
        trial(5, 0.9, control="article"),
        trial(6, None),
    ]
    assert search.incumbent(trials, "maximize").number == 2
    assert search.incumbent(trials, "minimize").number == 1
    assert search.incumbent([], "maximize") is None


def test_a_recipe_that_failed_on_one_seed_is_no_finalist():
    trials = [trial(1, 0.1), trial(2, 0.1)]
    runs = [run(1, 0, 0.95, rung=search.TUNE), run(1, 1, rung=search.TUNE, state="diverged")]
    runs += [run(2, seed, 0.9, rung=search.TUNE) for seed in (0, 1)]
    assert [t.number for t in search.finalists(trials, runs, 2, "maximize")] == [2]


def test_of_equal_values_a_proposal_goes_before_a_control_and_equal_recipes_count_once():
    control = replace(trial(1, 0.5, control="uniform"), proposer="control")
    twin = replace(trial(2, 0.5), recipe=control.recipe)
    assert [t.number for t in search.shortlist([control, twin, trial(3, 0.5)], "maximize")] == [2, 3]


def test_a_free_worker_gets_its_share_of_a_batch_as_long_as_there_are_proposals():
    spec = SPEC.model_copy(update={"search": SPEC.search.model_copy(update={"batch": 8, "trials": 20})})
    assert [search.n_to_ask(spec, 0, n) for n in (1, 2, 3, 8, 500)] == [8, 4, 3, 1, 1]
    assert [search.n_to_ask(spec, n, 1) for n in (0, 16, 19, 20)] == [8, 4, 1, 0]


def ended(trial, stage, state, rung=0):
    return Run(trial, rung, 0, stage, "valid", 10, state, 1, None, None)


def test_runs_of_a_stage_in_which_none_came_through_are_done_again():
    trials = [Trial(0, "tune", Recipe()), Trial(1, "control", mapped(), "uniform"), Trial(2, "curve", mapped())]
    runs = [ended(0, "tune", "complete", 1), ended(1, "search", "complete"), ended(2, "search", "diverged")]
    assert search.runs_to_redo(trials, runs, ()) == [(2, 0, 0)]
    assert search.runs_to_redo(trials, [*runs[:2], ended(2, "search", "complete")], ()) == []
    assert search.runs_to_redo(trials, [ended(1, "search", "oom"), ended(1, "noise", "crashed", 1)], ()) == [
        (1, 0, 0),
        (1, 1, 0),
    ]


def test_crashed_runs_are_done_again_where_a_stage_was_cut_short_and_stay_as_judged_where_it_was_not():
    trials = [Trial(n, "tune", Recipe()) for n in range(3)]
    runs = [ended(0, "tune", "complete"), ended(1, "tune", "crashed")]
    assert search.runs_to_redo(trials, runs, ()) == []
    assert search.runs_to_redo(trials, [*runs, ended(2, "tune", "waiting")], ()) == [(1, 0, 0)]


def test_confirm_is_done_again_when_only_other_finalists_came_through():
    trials = [Trial(0, "control", Recipe(), "none"), Trial(1, "curve", mapped()), Trial(2, "curve", mapped())]
    runs = [ended(0, "confirm", "crashed"), ended(1, "confirm", "diverged"), ended(2, "confirm", "complete")]
    assert search.runs_to_redo(trials, runs, (1, 2)) == [(0, 0, 0), (1, 0, 0)]
    assert search.runs_to_redo(trials, runs, (2, 1)) == [(1, 0, 0)]


def test_a_run_that_is_done_again_decides_its_trial_anew_where_the_trial_was_closed_by_it():
    trials = [Trial(0, "tune", Recipe()), Trial(1, "curve", mapped()), Trial(2, "matched", mapped(), "uniform")]
    runs = [ended(0, "tune", "crashed"), ended(1, "search", "complete"), ended(1, "shortlist", "crashed", 1)]
    runs += [ended(2, "confirm", "crashed", 2), Run(1, 0, 1, "search", "valid", 10, "crashed", 1, None, None)]
    assert search.trials_to_redo(trials, runs, [(0, 0, 0), (1, 0, 1), (2, 2, 0)]) == {0, 1, 2}
    assert search.trials_to_redo(trials, runs, [(1, 1, 0)]) == set(), "its value is that of the search"


def forecast_spec(**keys):
    return StudySpec(name="s", task="task.py:T", **keys)


def test_the_runs_of_every_stage_are_known_beforehand():
    stages = {s.stage: (s.n_runs, s.n_steps) for s in search.forecast_stages(forecast_spec())}
    assert stages == {
        "tune": (20, 120), "noise": (10, 45), "search": (52, 45), "shortlist": (26, 120), "confirm": (90, 300),
    }  # fmt: skip


def test_noise_runs_that_the_search_does_anyway_are_not_counted_twice():
    stages = {s.stage: s.n_runs for s in search.forecast_stages(forecast_spec(search={"seeds": 4, "noise_seeds": 3}))}
    assert stages["noise"] == 0
    assert stages["search"] == 52 * 4
