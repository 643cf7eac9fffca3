"""How much each setting of the recipes tried mattered to what they came to: by Optuna's own evaluator."""

import warnings
from collections.abc import Sequence
from typing import Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from mapsearch.core.recipe import NAMED_SETTINGS, Recipe
from mapsearch.core.trials import Trial

NUMBERS = ("feature_share", "anneal", "lr_factor")
N_TREES = 32
LEAST_TRIALS, MOST_TRIALS = 10, 200
"""Fewer tell nothing; of more, the newest are taken, since a fit takes a second per hundred."""


def parts_explained(
    trials: Sequence[Trial], teachers: Sequence[str], direction: Literal["maximize", "minimize"]
) -> tuple[tuple[str, float], ...]:
    """The part of the variance of search values that each setting explains by itself, the largest first.

    A functional analysis of variance (fANOVA, Hutter 2014) of a forest fitted to the trials. Settings that all trials
    have in common are left out. What a mapping is enters as its number of links and the mean depth of its teacher
    layers, from 0 to 1.

    Args:
        trials: those with a value and a mapping are used.
        teachers: the teacher's layers, first to last.

    Raises:
        ImportError: scikit-learn, which Optuna's evaluator needs, is not installed.
    """
    used = [trial for trial in trials if trial.value is not None and trial.recipe.mapping.pairs][-MOST_TRIALS:]
    rows = [_settings(trial.recipe, teachers) for trial in used]
    names = [name for name in (rows[0] if rows else {}) if len({row[name] for row in rows}) > 1]
    if len(used) < LEAST_TRIALS or not names:
        return ()
    kinds = {name: _distribution([row[name] for row in rows]) for name in names}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction=direction)
    study.add_trials(
        [
            create_trial(params={name: row[name] for name in names}, distributions=kinds, value=trial.value)
            for trial, row in zip(used, rows, strict=True)
        ]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(n_trees=N_TREES, seed=0))
    return tuple((name, float(part)) for name, part in found.items())


def _settings(recipe: Recipe, teachers: Sequence[str]) -> dict[str, str | float]:
    named: dict[str, str | float] = {name: str(getattr(recipe, name)) for name in NAMED_SETTINGS}
    numbers: dict[str, str | float] = {name: float(getattr(recipe, name) or 0.0) for name in NUMBERS}
    pairs = recipe.mapping.normalised().pairs
    depth = {path: i / max(1, len(teachers) - 1) for i, path in enumerate(teachers)}
    return {
        **named, **numbers, "links": float(len(pairs)),
        "teacher_depth": sum(pair.weight * depth.get(pair.teacher, 0.5) for pair in pairs),
    }  # fmt: skip


def _distribution(values: Sequence[str | float]) -> BaseDistribution:
    if isinstance(values[0], str):
        return CategoricalDistribution(sorted({str(value) for value in values}))
    numbers = [float(value) for value in values]
    return FloatDistribution(min(numbers), max(numbers))
