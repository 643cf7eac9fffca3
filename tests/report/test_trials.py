import re

import pytest
from rich.console import Console

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.summaries import TrialSummary
from mapsearch.report.trials import trials_tables

MAPPING = LayerMapping([("s.0", "t.1", 1.0), ("s.1", "t.11", 3.0)])
OUTPUTS = Recipe(output_weight=0.3)


def trial(number, control="", value=0.5, recipe=None, **fields):
    recipe = recipe or Recipe(MAPPING, feature_share=0.5, output_weight=0.3)
    proposer = fields.pop("proposer", "control" if control else "curve")
    state = "complete" if value else "infeasible"
    return TrialSummary(number, proposer, control, state, value, recipe.to_json(), {}, **fields)


def shown(trials, width=200, direction="maximize", **options):
    console = Console(width=width)
    with console.capture() as capture:
        for table in trials_tables(trials, "accuracy", direction, width, **options):
            console.print(table)
    return capture.get()


def numbers_of(text):
    return [int(number) for number in re.findall(r"^ +(\d+)   \S", text, re.MULTILINE)]


@pytest.mark.parametrize(("direction", "order", "arrow"), [("maximize", [2, 1, 0], "↑"), ("minimize", [1, 2, 0], "↓")])
def test_the_best_recipes_come_first_and_the_controls_last(direction, order, arrow):
    trials = [trial(0, "outputs", 0.3, OUTPUTS), trial(1, value=0.1), trial(2, value=0.9), trial(3, value=None)]
    text = shown(trials, direction=direction)
    assert numbers_of(text) == order
    assert f"accuracy {arrow}" in text


def test_a_confirmed_recipe_comes_before_a_better_search_value():
    trials = [trial(1, value=0.9), trial(2, value=0.1, confirmed=(0.6, 0.8), overhead=2.5)]
    rows = [line for line in shown(trials).splitlines() if "curve" in line]
    assert "0.7000 (2)" in rows[0]
    assert "2.50x" in rows[0]
    assert "-" in rows[1]


def test_the_first_trouble_of_a_trial_stands_below_its_recipe():
    text = shown([trial(1, warnings=("a note", "another")), trial(2, "uniform", None, warnings=("out of memory",))])
    assert "note: a note" in text
    assert "another" not in text
    assert "infeasible: out of memory" in text


def test_what_all_layers_and_recipes_share_stands_once():
    other = Recipe(MAPPING, feature_share=0.5, output_weight=1.0, lr_factor=3.0)
    text = shown([trial(0, "outputs", 0.3, OUTPUTS), trial(1), trial(2, recipe=other)])
    assert "recipe: s.* <- t.*" in text
    recipes = [line.split("-   ")[-1].strip() for line in text.splitlines() if "<- 1 (25 %)" in line]
    assert recipes[0] == "0 <- 1 (25 %) | 1 <- 11 (75 %) (nmse, share 0.5)"
    assert recipes[1].endswith("(nmse, share 0.5), outputs kl 1, temperature 1, lr x3")
    assert text.count("outputs kl 0.3") == 1, "of the control itself"


@pytest.mark.parametrize("width", [60, 80])
def test_at_narrow_widths_recipes_are_a_table_of_their_own_and_no_word_is_cut(width):
    names = [(f"encoder.layers.{i}.output", f"decoder.layers.{2 * i}.output", 1.0 + i) for i in range(6)]
    recipe = Recipe(LayerMapping(names), feature_share=0.25, loss="attention_relation")
    best = trial(1234, value=0.98765, confirmed=(0.5,) * 14, recipe=recipe)
    timed = trial(7, "outputs_equal_time", proposer="matched", confirmed=(0.5,), recipe=OUTPUTS)
    text = shown([trial(0, "outputs", 0.3, OUTPUTS), best, timed], width)
    assert "…" not in text
    for whole in ("0.9877", "0.5000 (14)", "1234", "(attention_relation,", "5 <- 10"):
        assert whole in " ".join(text.split())
    assert numbers_of(text) == [1234, 0, 7, 1234, 0, 7]


def test_controls_at_the_settings_of_the_nominee_are_listed_when_confirmed_or_asked_for():
    matched = [trial(5, "last", proposer="matched"), trial(6, "first", proposer="matched", confirmed=(0.5,))]
    assert numbers_of(shown([trial(0, "last"), *matched])) == [0, 6]
    assert numbers_of(shown([trial(0, "last"), *matched], every=True)) == [0, 5, 6]
