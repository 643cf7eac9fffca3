from itertools import product
from statistics import fmean
from typing import get_args

import numpy as np
import pytest

from benchmarks.search_quality.__main__ import MAIN, main, own, propose, replay, title
from benchmarks.search_quality.landscapes import CHOICES, Kind, Landscape, SimilarityKind
from benchmarks.search_quality.replay import controls, regrets
from benchmarks.search_quality.static_maps import argmax, monotone, regrets_of_static
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.proposers.candidates import Candidates
from mapsearch.proposers.model_search import EVEN_PAIR

KINDS = get_args(SimilarityKind)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_no_recipe_is_worth_more_than_the_best_and_controls_are_far_from_it(kind):
    landscape = Landscape(kind, 4, 8, "uninformative", 0.1, 0)
    worths = [landscape.worth(t.recipe) for t in controls(landscape)]
    assert max(worths) < 0.95
    assert landscape.worth(Recipe()) == 0.0


def test_a_curve_is_worth_nearly_all_when_every_row_has_the_teacher_it_wants():
    landscape = Landscape("curve", 4, 8, "uninformative", 0.0, 3)
    wanted = landscape._wanted[0].argmax(1)
    pairs = [(f"student.{s}", f"teacher.{t}", float(landscape._importance[s])) for s, t in enumerate(wanted)]
    recipes = [
        Recipe(LayerMapping(pairs), loss=loss, anneal=anneal, lr_factor=rate, feature_share=share / 10)
        for loss in CHOICES.loss
        for anneal in CHOICES.anneal
        for rate in CHOICES.lr
        for share in range(2, 9)
    ]
    assert 0.99 < max(map(landscape.worth, recipes)) <= 1.0


def test_a_replay_is_the_same_again():
    landscape = Landscape("arbitrary", 3, 6, "right", 0.1, 1)
    found = regrets(landscape, propose("random"))
    assert found == regrets(Landscape("arbitrary", 3, 6, "right", 0.1, 1), propose("random"))
    assert len(found) == 3
    assert all(0 <= regret <= 1.2 for regret in found)


@pytest.mark.parametrize("name", ["tpe", "evolution", "mixture", "model"])
def test_every_rival_replays(name):
    assert replay(MAIN[1], name, 0)[-1] < 0.7


def test_the_page_has_every_proposer_and_the_bars(capsys, monkeypatch, tmp_path):
    state = tmp_path / "state.json"
    monkeypatch.setattr("sys.argv", ["search_quality", "--quick", "--state", str(state), "--record", str(tmp_path)])
    main()
    text = capsys.readouterr().out
    assert f"| {title(MAIN[1])} | 1 |" in text
    assert "| 0.16 |" in text
    assert len(list(tmp_path.glob("search-quality-*"))) == 2


def test_values_are_kept_by_proposer_and_instance():
    assert own({"model/3": [0.5], "random/3": [0.7]}, "model") == {"3": [0.5]}


def test_a_monotone_mapping_has_the_largest_sum_of_all_that_never_fall():
    similarity = np.random.default_rng(0).standard_normal((4, 6))
    rising = (m for m in product(range(6), repeat=4) if list(m) == sorted(m))
    assert monotone(similarity) == list(max(rising, key=lambda m: sum(similarity[range(4), m])))
    assert argmax(similarity) == similarity.argmax(1).tolist()


def test_a_static_mapping_is_nearly_right_where_similarity_is_and_wrong_where_it_is_inverted():
    right, inverted = (regrets_of_static(Landscape("arbitrary", 6, 12, s, 0.1, 0), "argmax") for s in KINDS[:2])
    assert right[0] == right[-1] < 0.3
    assert inverted[-1] > 0.7


def test_optunas_gaussian_process_proposes_curves():
    landscape = Landscape("arbitrary", 3, 6, "right", 0.1, 0)
    proposal = propose("gp")(landscape.problem, controls(landscape), 0)
    assert proposal.origin == "curve"
    assert landscape.space.problems(proposal.recipe) == []


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("two far teachers", 0.4, 0.6), ("two far teachers, arbitrary", 0.0, 0.25)]
)
def test_the_even_pair_alone_is_worth_half_where_curves_are_far_apart_and_little_where_nothing_rises(kind, low, high):
    worths = []
    for instance in range(8):
        landscape = Landscape(kind, 6, 12, "uninformative", 0.1, instance)
        candidates = Candidates(landscape.problem)
        settings = candidates.of(controls(landscape)[0]).settings
        worths.append(landscape.worth(candidates.proposal(candidates.along(EVEN_PAIR, settings)).recipe))
    assert low < fmean(worths) < high
