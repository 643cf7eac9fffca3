from itertools import product

import pytest
from search_samples import LOGITS, PLAIN, SIMILARITY, SPACE, SPEC, run

from mapsearch import search
from mapsearch.core.outputs import CLASS_SCORES, Outputs
from mapsearch.core.recipe import Recipe
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.core.trials import Trial

MAPPINGS, _ = search.hand_made(SPEC, SPACE, SIMILARITY, {})
PLAIN_TRIALS = [Trial(0, "tune", PLAIN["none"]), Trial(1, "tune", Recipe())]


def tuned_first(spec, outputs):
    return search.missing_trials(search.tune_recipes(spec, outputs), [])


def with_space(**keys):
    return SPEC.model_copy(update={"space": SpaceSpec(**keys)})


def tune(number, recipe, value=None):
    return Trial(number, "tune", recipe, state="complete" if value is not None else "infeasible", value=value)


def test_the_first_round_tries_rates_of_the_task_alone_and_every_fitting_output_loss():
    trials = tuned_first(SPEC, CLASS_SCORES)
    assert [t.recipe for t in trials[:3]] == [Recipe(lr_factor=lr) for lr in (0.3, 1.0, 3.0)]
    assert [t.number for t in trials] == list(range(len(trials)))
    tried = [
        (t.recipe.task_weight, t.recipe.output_loss, t.recipe.output_weight, t.recipe.temperature) for t in trials[3:]
    ]
    assert len(tried) == len(set(tried))
    with_task = set(product((1.0,), ("kl", "dkd"), (0.3, 1.0, 3.0), (2.0, 4.0)))
    assert set(tried) == with_task | set(product((0.0,), ("kl", "dkd"), (0.3,), (2.0, 4.0)))
    assert {t.recipe.lr_factor for t in trials[3:]} == {1.0}


@pytest.mark.parametrize(
    ("outputs", "losses"),
    [
        (Outputs("labels"), {"binary_kl"}),
        (Outputs("values"), {"mse", "huber"}),
        (Outputs("embedding"), {"cosine", "relational"}),
        (Outputs("embedding", same_width=False), {"relational"}),
        (Outputs("none"), set()),
    ],
)
def test_outputs_of_every_kind_are_tuned_by_the_losses_that_fit(outputs, losses):
    trials = tuned_first(SPEC, outputs)
    assert {t.recipe.output_loss for t in trials if t.recipe.uses_outputs} == losses
    assert len(trials) == len({t.recipe for t in trials})


def test_the_study_names_its_output_losses():
    trials = tuned_first(with_space(output_loss=("standardised_kl",)), CLASS_SCORES)
    assert {t.recipe.output_loss for t in trials if t.recipe.uses_outputs} == {"standardised_kl"}


def test_without_a_task_loss_the_teacher_is_the_task():
    trials = tuned_first(SPEC, Outputs("embedding", has_loss=False))
    assert trials
    assert not any(t.recipe.uses_task for t in trials)
    plain = search.tuned(trials, [], "maximize")
    assert set(plain) == {"outputs"}
    controls = search.control_trials(SPEC, SPACE, MAPPINGS, plain, first=0)
    assert not any(t.recipe.uses_task for t in controls)
    assert "none" not in {t.control for t in controls}
    assert "outputs" in {t.control for t in controls}


def test_features_alone_have_no_plain_control():
    assert search.tuned([], [], "maximize") == {}
    assert not search.base_recipe({}, "loss").uses_task
    assert search.base_recipe({}, "gradient").share_of == "gradient"
    controls = search.control_trials(SPEC, SPACE, MAPPINGS, {}, first=0)
    assert not {"none", "outputs"} & {t.control for t in controls}


def test_everything_runs_short_once_and_the_task_alone_longer_on_all_seeds():
    trials = tuned_first(SPEC, CLASS_SCORES)
    plans = search.tune_plans(SPEC, trials)
    short = [p for p in plans if p.rung == search.SEARCH]
    assert [p.trial for p in short] == [t.number for t in trials[3:]]
    assert {p.seed for p in short} == {7}
    assert [(p.trial, p.seed) for p in plans if p.rung == search.TUNE] == [(n, s) for s in (7, 8) for n in range(3)]


def test_where_little_is_tried_all_of_it_is_tuned_further():
    trials = tuned_first(with_space(output_loss=("mse",), output_weight=(1.0,)), CLASS_SCORES)
    assert {p.rung for p in search.tune_plans(SPEC, trials)} == {search.TUNE}


@pytest.mark.parametrize(("direction", "best"), [("maximize", [3, 1]), ("minimize", [1, 4])])
def test_the_best_two_with_outputs_are_tried_at_every_other_rate(direction, best):
    trials = [
        tune(0, Recipe(), 9.0), tune(1, Recipe(output_weight=0.3), 0.15 if direction == "maximize" else 0.05),
        tune(2, Recipe(output_weight=1.0)), tune(3, Recipe(output_loss="dkd", output_weight=3.0), 0.2),
        tune(4, Recipe(output_weight=5.0), 0.1),
    ]  # fmt: skip
    further = search.tuned_further(SPEC.model_copy(update={"direction": direction}), trials)
    assert [t.number for t in further] == best
    rates = search.missing_trials(search.at_every_rate(SPEC, further), trials)
    assert [t.number for t in rates] == [5, 6, 7, 8]
    assert {(t.recipe.output_weight, t.recipe.lr_factor) for t in rates} == {
        (trials[n].recipe.output_weight, lr) for n in best for lr in (0.3, 3.0)
    }
    assert search.missing_trials(search.at_every_rate(SPEC, further), [*trials, *rates]) == []


def test_the_best_at_the_longer_rung_are_frozen():
    trials = [
        tune(0, Recipe(), 0.9), tune(1, Recipe(lr_factor=0.3), 0.1), tune(2, Recipe(output_weight=1.0), 0.9),
        tune(3, Recipe(output_weight=3.0), 0.1), tune(4, Recipe(output_weight=3.0, lr_factor=3.0), 0.1),
    ]  # fmt: skip
    values = {0: (0.5, 0.6), 1: (0.6, 0.7), 3: (0.7, 0.7), 4: (0.7, 0.9)}
    runs = [run(n, seed, value, rung=search.TUNE) for n, row in values.items() for seed, value in enumerate(row)]
    assert search.tuned(trials, runs, "maximize") == {"none": trials[1].recipe, "outputs": trials[4].recipe}
    assert search.tuned(trials, runs, "minimize") == {"none": trials[0].recipe, "outputs": trials[3].recipe}
    controls = [Trial(5, "control", LOGITS, control="outputs"), Trial(6, "control", Recipe(), control="none")]
    assert search.tuned([*trials, *controls], runs, "maximize") == {"none": Recipe(), "outputs": LOGITS}


def test_where_nothing_could_be_tuned_the_first_tried_is_taken():
    tried = tuned_first(SPEC, CLASS_SCORES)
    assert search.tuned(tried, [], "maximize")["outputs"].output_weight == 0.3


def test_what_is_best_at_the_end_of_its_range_is_told():
    told = search.edges(SPEC, PLAIN, PLAIN_TRIALS)
    assert any("`none`" in edge and "`space.lr`" in edge for edge in told), told
    assert any("`space.output_weight`" in edge for edge in told)
    assert search.edges(with_space(lr=(0.3,), output_weight=(3.0, 9.0)), PLAIN, PLAIN_TRIALS[:1]) == []


def test_a_small_budget_tunes_one_output_loss_on_one_seed():
    small = SPEC.model_copy(update={"budget": "quick"})
    trials = tuned_first(small, CLASS_SCORES)
    assert {t.recipe.output_loss for t in trials} == {"kl"}
    assert {p.seed for p in search.tune_plans(small, trials)} == {7}
    ended = [tune(t.number, t.recipe, 0.1) for t in trials]
    assert len(search.tuned_further(small, ended)) == 1


def test_a_control_that_is_best_at_the_last_rate_is_tried_beyond_it():
    trials = [tune(n, Recipe(lr_factor=lr), 0.1) for n, lr in enumerate((0.3, 1.0, 3.0))]
    trials += [tune(3 + n, Recipe(output_weight=1.0, lr_factor=lr), 0.1) for n, lr in enumerate((0.3, 1.0, 3.0))]
    runs = [run(n, 0, value, rung=search.TUNE) for n, value in enumerate((0.1, 0.2, 0.9, 0.8, 0.2, 0.1))]
    new = search.beyond_edges(SPEC, trials, runs)
    assert [recipe.lr_factor for recipe in new] == [9.0, pytest.approx(0.09)]
    middle = [run(n, 0, value, rung=search.TUNE) for n, value in enumerate((0.1, 0.9, 0.2, 0.1, 0.8, 0.1))]
    assert search.beyond_edges(SPEC, trials, middle) == []
    assert search.beyond_edges(with_space(lr=(1.0,)), trials, runs) == [], "the study fixes the rate"


def test_features_may_have_the_rates_of_the_tuned_controls():
    controls = [Trial(0, "control", Recipe(lr_factor=9.0), control="none"), Trial(1, "control", LOGITS, control="last")]
    assert search.with_tuned_rates(SpaceSpec(), controls).lr == (0.3, 1.0, 3.0, 9.0)
