from dataclasses import replace

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.trials import Trial
from mapsearch.proposers import candidates as module
from mapsearch.proposers.candidates import candidates_of


def test_a_trial_is_the_candidate_that_it_is_whatever_had_its_number_before(problem):
    here = problem(2, 4)
    recipes = [
        replace(here.base, mapping=LayerMapping([("s.0", f"t.{t}", 1.0)]), feature_share=0.5, loss=loss)
        for t, loss in ((0, "nmse"), (3, "cosine"))
    ]
    candidates = candidates_of(here)
    for _ in range(2):
        for t, recipe in zip((0, 3), recipes, strict=True):
            candidate = candidates.of(Trial(7, "free", recipe))
            assert candidate.weights.argmax() == t
            assert candidate.settings.loss == recipe.loss


def test_not_all_that_was_ever_tried_is_kept(problem, monkeypatch):
    monkeypatch.setattr(module, "MOST_KNOWN", 3)
    here = problem(2, 4)
    found = module.Candidates(here)
    recipe = replace(here.base, mapping=LayerMapping([("s.0", "t.1", 1.0)]), feature_share=0.5)
    for number in range(10):
        assert found.of(Trial(number, "free", recipe)).weights.argmax() == 1
        assert len(found._known) <= 3


def test_what_follows_from_a_problem_is_worked_out_once(problem):
    assert candidates_of(problem(2, 4)) is candidates_of(problem(2, 4))
    assert candidates_of(problem(2, 4)) is not candidates_of(problem(2, 5))
