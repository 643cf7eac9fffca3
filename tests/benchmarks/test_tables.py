import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.tables.analysis import (
    chosen_minus,
    depth_scores,
    foretelling,
    interval,
    naive_best_minus,
    parts_of_rest,
    rank_correlation,
    reliability,
    scores,
    shuffled_limit,
    spreads,
)
from benchmarks.tables.filling import fill, merged
from benchmarks.tables.maps import every_map, mapping_of, uniform
from benchmarks.tables.page import engine_sentence, page
from benchmarks.tables.pairs import PAIRS
from benchmarks.tables.replay import PROPOSERS, Replay, controls, gains, raced
from benchmarks.tables.stacked import stacked_values
from benchmarks.tables.table import read_table, table_of
from benchmarks.tables.training import open_pair
from mapsearch.core.trials import Trial
from mapsearch.proposers.model_search import EVEN_PAIR

S, T, D = 3, 6, 5
EVERYTHING = [[True] * T] * S


def planted(noise, *, wanted="135", order_noise=0.0, n_draws=D):
    """A table of all 216 mappings whose worth falls with their distance from one of them."""
    rng, maps = np.random.default_rng(0), every_map(EVERYTHING, "all")
    truth = depth_scores(maps, wanted)
    runs = {}
    for draw in range(n_draws):
        own = rng.normal(0, 1) + noise * rng.standard_normal(len(maps))
        for order in range(2 if order_noise else 1):
            for rung in ("short", "full"):
                values = truth + own + order_noise * rng.standard_normal(len(maps))
                column = dict(zip(maps, values.tolist(), strict=True))
                runs[f"{rung}/{draw}/{order}"] = column | {"none": -9.0, "outputs": -8.0}
    likeness = (-np.abs(np.arange(T) - np.array([[1], [3], [5]]))).tolist()
    measures = {"cka": likeness, "cka, as the prior": likeness, "rsa": np.zeros((S, T)).tolist()}
    told = {"metric": "accuracy", "steps": 60, "cpu_seconds": 1.0, "tuned": {"features": FEATURES}}
    return table_of("planted", {"runs": runs, "similarity": {"untrained": measures}, **told})


FEATURES = {"loss": "nmse", "feature_share": 0.5, "share_of": "gradient", "lr_factor": 1.0}


def test_all_mappings_have_names_and_names_are_mappings():
    assert len(every_map(EVERYTHING, "all")) == 216
    assert every_map([[True, True], [False, True]], "all, rows off too") == ["01", "0-", "11", "1-", "-1"]
    rising = every_map(EVERYTHING, "rising, one-to-one")
    assert (len(rising), rising[0], rising[-1]) == (20, "012", "345")
    mapping = mapping_of("1-5", Replay(planted(0.1), 0).space)
    assert str(mapping) == "student.0 <- teacher.1 | student.2 <- teacher.5"
    assert uniform(3, 6) == "135"


def test_spreads_find_what_was_planted():
    rng = np.random.default_rng(1)
    own, draw = 3.0 * rng.standard_normal((200, 1)), 2.0 * rng.standard_normal((1, 100))
    found = spreads(own + draw + 0.5 * rng.standard_normal((200, 100)))
    assert found["mappings"] == pytest.approx(own.std(), rel=0.05)
    assert found["draws"] == pytest.approx(draw.std(), rel=0.05)
    assert found["rest"] == pytest.approx(0.5, rel=0.05)


def test_orders_take_interaction_and_seed_apart():
    rng = np.random.default_rng(2)
    interaction = 2.0 * rng.standard_normal((100, 40, 1))
    common = 5.0 * rng.standard_normal((1, 40, 2))
    found = parts_of_rest(interaction + common + rng.standard_normal((100, 40, 2)))
    assert found["interaction"] == pytest.approx(2.0, rel=0.05)
    assert found["seed"] == pytest.approx(1.0, rel=0.05)


def test_luck_in_the_choice_is_no_gain():
    noise = np.random.default_rng(3).standard_normal((200, 8))
    honest = chosen_minus(noise, noise[0])
    assert honest.low < 0 < honest.high
    assert naive_best_minus(noise, noise[0]) > 0.5
    assert reliability(noise) < 0.3


def test_a_real_best_is_found():
    table = planted(0.2)
    first = table.full[table.row("000")]
    assert chosen_minus(table.full, first).mean == pytest.approx(3.0, abs=0.4)
    assert chosen_minus(table.full, table.full[table.row("135")], worst=True).high < -2
    assert reliability(table.full) > 0.95


def test_an_interval_is_students():
    found = interval(np.array([1.0, 2.0, 3.0]))
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, -0.4841, 4.4841), abs=1e-4)


def test_similarity_is_held_against_its_own_entries_shuffled():
    table = planted(0.0)
    right = scores(table.maps, table.similarity["untrained"]["cka"])
    truth = table.full.mean(1)
    assert rank_correlation(right, truth) == pytest.approx(1.0)
    assert 0.3 < shuffled_limit(table.maps, table.similarity["untrained"]["cka"], truth, 50) < 0.95
    assert rank_correlation(np.zeros(216), truth) == 0.0


def test_one_run_foretells_less_where_there_is_more_noise():
    quiet, loud = planted(0.1), planted(3.0)
    assert foretelling(quiet.full, quiet.full) > 0.9 > foretelling(loud.full, loud.full)


def test_rows_that_are_off_count_neither_way():
    assert scores(["1-5"], np.arange(18.0).reshape(3, 6))[0] == pytest.approx((1 + 17) / 2)
    assert depth_scores(["1-5", "-4-"], "135").tolist() == [0.0, -1.0]


def test_a_proposal_is_taken_to_be_the_nearest_mapping_of_the_table():
    replay = Replay(planted(0.1), 0)
    assert replay.nearest(mapping_of("035", replay.space)) == "035"
    assert replay.nearest(mapping_of("2-5", replay.space))[::2] == "25"
    assert controls(replay.table) == ["135", "345", "012", "531"]


@pytest.mark.parametrize("name", PROPOSERS)
def test_a_search_on_a_table_sees_what_it_has_proposed_and_proposes_other_recipes(name):
    make, prior = PROPOSERS[name]
    replay, propose, trials = Replay(planted(0.3), 0), make(), list[Trial]()
    for number in range(16):
        proposal = propose(replay.problem(prior=prior), trials, number)
        trials.append(replay.proposed(number, proposal, 0))
    even_pairs = [t for t in trials if t.params == EVEN_PAIR._asdict()]
    assert len(even_pairs) <= 1
    assert len({t.recipe.mapping for t in trials}) > 8


@pytest.mark.parametrize("name", PROPOSERS)
def test_searches_on_a_table_find_what_is_good_there(name):
    found = gains(planted(0.3, n_draws=4), name, [4], 1)
    assert found.shape == (1, 1)
    assert found.mean() > 1.0  # the mean mapping is two layers off in every row


def test_the_race_is_decided_on_draws_that_the_search_has_not_seen():
    table = planted(0.0)
    table.short[table.row("000"), 0] = 99.0  # luck in the search's own run
    assert raced(table, ["000", "135", "134", "025"], [0, 1, 2]) == "135"


def test_failed_runs_count_as_the_worst_and_half_columns_not_at_all():
    runs = {
        f"{r}/{d}/0": {"01": 1.0, "02": 2.0, "none": 0.0, "outputs": 0.0} for r in ("short", "full") for d in (0, 1)
    }
    runs["full/0/0"]["02"] = float("nan")
    runs["full/2/0"] = {"01": 1.0}
    similarity = {"untrained": {"cka": [[0.0, 0.0, 0.0]] * 2}}
    table = table_of("x", {"runs": runs, "similarity": similarity})
    assert table.draws == (0, 1)
    assert table.full.tolist() == [[1.0, 1.0], [1.0, 2.0]]
    assert len(table.by_engine) == 0


def test_two_processes_fill_one_table(tmp_path):
    state = tmp_path / "table.json"
    merged({"runs": {"full/0/0": {"135": 0.9}}, "cpu_seconds": 2.0, "metric": "accuracy"}, state)
    other = merged({"runs": {"full/0/0": {"012": 0.8}, "full/1/0": {"012": 0.7}}, "cpu_seconds": 1.0}, state)
    assert other["runs"] == {"full/0/0": {"135": 0.9, "012": 0.8}, "full/1/0": {"012": 0.7}}
    assert (other["cpu_seconds"], other["metric"]) == (3.0, "accuracy")
    assert json.loads(state.read_text(encoding="utf-8")) == other


def test_the_page_holds_every_table():
    text = page([planted(0.2, order_noise=0.1)], 1, at=(1,), n_shuffles=10)
    assert "| planted | 216 | 5 | 5 | 60 | accuracy |" in text
    assert "| nearness to `uniform`, in layers | +0.99 |" in text
    assert "| planted | random, no prior |" in text


@pytest.mark.slow
def test_students_in_a_stack_end_like_the_engines_and_a_table_goes_on_where_it_stopped(tmp_path):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    pair = replace(PAIRS["few_vectors"], maps="rising, one-to-one", rates=(1.0,), shares=(0.5,), n_orders=1)
    opened = open_pair(pair.study, tmp_path, ["train.steps=10", "options.teacher_steps=30"])
    space, recipe = opened.space, pair.featured(pair.outputs, mapping_of("135", opened.space))[0]
    recipes = [*pair.plain()[:2], recipe, replace(recipe, mapping=mapping_of("420", space), feature_share=0.3)]
    engine = opened.values(recipes, 70, 1.0, "valid")
    assert stacked_values(opened, recipes, 70, 1.0, "valid") == pytest.approx(engine, abs=0.006)  # two images of 397
    state = tmp_path / "tables-few_vectors.json"
    fill(opened, pair, [0], 0.0, state)  # out of time after the first piece of work
    assert set(json.loads(state.read_text(encoding="utf-8"))["runs"]) == {"tune/900/0"}
    fill(opened, pair, [0, 1], 600.0, state)
    table = read_table(state)
    assert (table.full.shape, table.short.shape, table.draws) == ((20, 2), (20, 2), (0, 1))
    assert 0.0 < table.full.min() < table.full.max() <= 1.0
    assert table.similarity["trained"]["cka"].shape == (3, 6)
    assert "cka, biased" in table.similarity["untrained"]
    written = state.read_text(encoding="utf-8")
    fill(opened, pair, [0, 1], 600.0, state)  # nothing is missing
    assert json.loads(state.read_text(encoding="utf-8"))["runs"] == json.loads(written)["runs"]


def test_what_the_engine_found_of_the_same_runs_is_told():
    table = planted(0.1)
    held = replace(table, by_engine=np.array([0.0, 0.0, 0.0, -0.0025]))
    assert "4 of its runs" in engine_sentence(held)
    assert "75% have the same value, the largest difference is 0.0025" in engine_sentence(held)
