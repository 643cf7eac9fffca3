import numpy as np
import pytest

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.proposers.candidates import Candidates
from mapsearch.proposers.drawing import drawn_candidate, free_share
from mapsearch.proposers.moves import crossed, moved


@pytest.fixture
def candidates(problem):
    return Candidates(problem(4, 8, aggregation=("sum", "fuse"), anneal=(None, 1.0)))


def test_a_move_changes_one_thing(candidates):
    rng = np.random.default_rng(0)
    for _ in range(300):
        start = drawn_candidate(candidates, rng)._replace(curve=None)
        after = moved(candidates, start, rng)
        if after is None:
            continue
        assert after.origin == "move", "whatever it began at, a control among others"
        settings = sum(a != b for a, b in zip(start.settings, after.settings, strict=True))
        pairs = np.count_nonzero((start.weights > 0) != (after.weights > 0), axis=1)
        if settings:
            assert settings == 1
            assert after.settings.aggregation == "fuse" or not pairs.any()
        elif np.count_nonzero(pairs) == 1:
            s = int(pairs.argmax())
            before, row = (np.flatnonzero(c.weights[s]) for c in (start, after))
            aside = [sorted(set(np.clip(before + side, 0, 7))) for side in (-1, 1)]
            assert pairs[s] <= 2 or not len(row) or row.tolist() in aside, "one pair, or a whole row"
        assert after.weights.sum() == pytest.approx(1.0)
        assert after.weights.any()


def test_moves_switch_rows_off_and_give_a_row_a_second_far_teacher(candidates):
    rng = np.random.default_rng(0)
    start = drawn_candidate(candidates, rng)._replace(weights=np.eye(4, 8), curve=None)
    after = [m.weights for _ in range(300) if (m := moved(candidates, start, rng)) is not None]
    assert any(not matrix.any(1).all() for matrix in after)
    assert any(np.ptp(np.flatnonzero(row)) >= 3 for matrix in after for row in matrix if row.any())


def test_one_move_gives_every_row_a_second_far_teacher(candidates):
    rng = np.random.default_rng(0)
    start = drawn_candidate(candidates, rng)._replace(weights=np.eye(4, 8, 2), curve=None)
    after = [m.weights for _ in range(300) if (m := moved(candidates, start, rng)) is not None]
    apart = [np.ptp(np.flatnonzero(matrix[1])) for matrix in after if (matrix > 0).sum() >= 6]
    assert apart, "no move reached two teachers in all rows"
    assert min(apart) >= 2


def test_a_child_has_the_rows_of_both(candidates):
    rng = np.random.default_rng(0)
    one, other = (drawn_candidate(candidates, rng)._replace(weights=np.eye(4, 8, at), curve=None) for at in (0, 4))
    child = crossed(candidates, one, other, rng)
    assert all(row.argmax() in (s, s + 4) for s, row in enumerate(child.weights))
    assert child.settings == one.settings


def test_the_share_of_free_choices_grows_as_the_student_shrinks(problem):
    choices = problem(2, 2).choices
    assert [free_share(choices, S) for S in (2, 3, 6, 12)] == [0.5, 0.5, 0.25, 0.125]
    assert free_share(problem(2, 2, free=0.3).choices, 12) == 0.3


def test_illegal_pairs_and_rows_that_do_not_mix_are_left_out(problem):
    candidates = Candidates(problem(3, 6, kinds=["vector", "tokens", "vector"], aggregation=("fuse",)))
    rng = np.random.default_rng(0)
    for _ in range(50):
        proposal = candidates.proposal(drawn_candidate(candidates, rng))
        assert candidates.problem.space.problems(proposal.recipe) == []
        assert "s.1" not in proposal.recipe.mapping.student_layers


def test_a_trial_is_its_candidate(candidates):
    recipe = Recipe(LayerMapping([("s.0", "t.0", 1.0), ("s.3", "t.7", 3.0)]), feature_share=0.5, output_weight=3.0)
    candidate = candidates.of(Trial(0, "control", recipe))
    assert candidates.proposal(candidates.mended(candidate)).recipe.mapping == recipe.mapping.normalised()
    old = candidates.of(Trial(1, "curve", recipe, params={"lo": 0.0, "rise": 1.0, "width": 0.3}))
    assert old.curve is None, "numbers of an earlier encoding say nothing; the recipe does"
