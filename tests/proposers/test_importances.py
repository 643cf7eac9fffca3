"""Which settings mattered, told by Optuna's evaluator."""

import pytest

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.trials import Trial
from mapsearch.proposers.importances import LEAST_TRIALS, parts_explained

pytest.importorskip("sklearn", reason="`scikit-learn` is not installed")

TEACHERS = ("t.0", "t.1", "t.2")


def trial(number, value, **settings):
    mapping = LayerMapping([("s.0", TEACHERS[number % 3], 1.0)])
    return Trial(number, "free", Recipe(mapping, **{"feature_share": 0.5, **settings}), value=value)


def test_the_setting_that_moves_the_values_explains_them():
    trials = [trial(i, 0.5 + 0.4 * (i % 2), loss=("nmse", "cosine")[i % 2], lr_factor=(1.0, 3.0)[i // 2 % 2])
              for i in range(24)]  # fmt: skip
    found = dict(parts_explained(trials, TEACHERS, "maximize"))
    assert set(found) == {"loss", "lr_factor", "teacher_depth"}  # what all have in common is left out
    assert found["loss"] > 0.9
    assert sum(found.values()) == pytest.approx(1.0)


def test_too_few_trials_or_none_with_a_mapping_tell_nothing():
    assert parts_explained([trial(i, 0.1 * i) for i in range(LEAST_TRIALS - 1)], TEACHERS, "minimize") == ()
    assert parts_explained([Trial(i, "tune", Recipe(), value=0.5) for i in range(30)], TEACHERS, "minimize") == ()
