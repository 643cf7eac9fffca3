from dataclasses import replace

import pytest
from search_samples import SPACE, mapped, trial

from mapsearch.core.layers import Layer
from mapsearch.core.port import OldStudy, Port
from mapsearch.core.recipe import Recipe
from mapsearch.core.space import RecipeSpace
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.core.trials import Trial
from mapsearch.porting.carry import carry, on_top_of

CHOICES = SpaceSpec(loss=("nmse", "gram"), lr=(0.3, 1.0, 3.0), anneal=(0.5, None), feature_share=(0.2, 0.6))
DEEPER = RecipeSpace(
    *(tuple(Layer(f"{x}.{i}", "B", "vector", (8,), 1) for i in range(n)) for x, n in (("s", 3), ("t", 8)))
)


def proposal(number, value, teacher="t.0", **fields):
    return trial(number, value, replace(mapped(teacher), anneal=0.5, **fields))


def old(*trials, sign=1.0, nominee=None, space=SPACE):
    return OldStudy("old", space, trials, sign, nominee)


def test_proposals_come_over_best_first_and_controls_do_not():
    uniform = Trial(0, "control", mapped("t.1"), control="uniform", state="complete", value=0.7)
    port = carry(old(uniform, proposal(1, 0.4), proposal(2, 0.9, "t.1"), proposal(3, None, "t.2")), DEEPER, CHOICES)
    assert [(row.trial, row.gain) for row in port.carried] == [(2, 0.9), (1, 0.4)]
    assert port.controls == {"uniform": 0.7}
    assert port.left_out == ()
    assert all(not DEEPER.problems(row.recipe) for row in port.carried)
    assert [p.student for p in port.carried[0].recipe.mapping.pairs] == ["s.0", "s.1", "s.2"]


def test_less_is_better_where_the_old_study_minimized():
    port = carry(old(proposal(1, 0.4), proposal(2, 0.9, "t.1"), sign=-1.0), DEEPER, CHOICES)
    assert [(row.trial, row.gain) for row in port.carried] == [(1, -0.4), (2, -0.9)]


def test_settings_that_are_not_searched_here_take_the_nearest_or_are_left_out():
    far = proposal(1, 0.9, feature_share=0.9, lr_factor=10.0)
    port = carry(old(far, proposal(2, 0.8, loss="cosine")), DEEPER, CHOICES)
    first = port.carried[0].recipe
    assert (first.feature_share, first.lr_factor, first.anneal) == (0.6, 3.0, 0.5)
    assert port.left_out == ((2, "`loss: cosine` is not in `space.loss`"),)


@pytest.mark.parametrize(("anneal", "nearest"), [(0.4, 0.5), (1.0, 0.5), (None, None)])
def test_features_that_never_fade_are_beyond_those_that_fade_late(anneal, nearest):
    port = carry(old(trial(1, 0.9, replace(mapped(), anneal=anneal))), DEEPER, CHOICES)
    assert port.carried[0].recipe.anneal == nearest


def test_pairs_that_cannot_be_matched_fall_away_and_with_all_of_them_the_recipe():
    maps = RecipeSpace(DEEPER.student, (*DEEPER.teacher[:-1], Layer("t.7", "B", "map", (8, 4, 4), 1)))
    port = carry(old(proposal(1, 0.9)), maps, CHOICES)
    assert {pair.teacher for pair in port.carried[0].recipe.mapping.pairs}.isdisjoint({"t.7"})
    only = RecipeSpace(DEEPER.student, (Layer("t.0", "B", "map", (8, 4, 4), 1),))
    assert carry(old(proposal(1, 0.9)), only, CHOICES).left_out == ((1, "none of its pairs can be matched here"),)


def test_recipes_that_become_one_are_carried_once():
    shallow = RecipeSpace(SPACE.student[:1], SPACE.teacher[:1])
    port = carry(old(proposal(1, 0.4), proposal(2, 0.9, "t.1")), shallow, CHOICES)
    assert [row.trial for row in port.carried] == [2]
    assert port.left_out == ((1, "it is here what trial 2 is"),)


def test_the_best_the_nominee_and_the_worst_are_run_again():
    trials = [proposal(n, n / 10, feature_share=0.2 + n / 50) for n in range(1, 10)]
    assert carry(old(*trials, nominee=3), DEEPER, CHOICES).again == (9, 8, 7, 6, 3, 1)
    assert carry(old(*trials, nominee=9), DEEPER, CHOICES).again == (9, 8, 7, 6, 1)
    assert carry(old(trials[0]), DEEPER, CHOICES).again == (1,)


def test_a_carried_recipe_stands_on_the_new_studys_outputs():
    base = Recipe(output_weight=3.0, temperature=4.0, task_weight=0.0, share_of="gradient", output_loss="dkd")
    carried = replace(mapped(), loss="gram", lr_factor=3.0, output_weight=0.3)
    recipe = on_top_of(base, carried)
    assert (recipe.output_weight, recipe.temperature, recipe.task_weight, recipe.output_loss) == (3.0, 4.0, 0.0, "dkd")
    assert (recipe.mapping, recipe.loss, recipe.lr_factor) == (carried.mapping, "gram", 3.0)


def test_a_port_is_the_same_after_json():
    port = carry(old(proposal(1, 0.9), proposal(2, 0.8, loss="cosine")), DEEPER, CHOICES)
    assert Port.from_json(port.to_json()) == port
