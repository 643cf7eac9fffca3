"""A study as a page gets it: a nominee of three layers, its controls on fresh seeds, a search of any length."""

from dataclasses import replace

import pytest

from mapsearch.core.details import StageCost, StudyDetails, TrialValue
from mapsearch.core.facts import StudyFacts
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.summaries import StudyCost, StudyOverview, TrialSummary
from mapsearch.core.verdict import Against, Noise, Question, Verdict

SEEDS = (1000, 1001, 1002, 1003)
MAPPING = LayerMapping([("blocks.0", "blocks.1", 1.0), ("blocks.1", "blocks.2", 0.6), ("blocks.1", "blocks.3", 0.4)])
TIES = Question("outputs", "nominee", 1, True, "", "TIES", -0.002, -0.011, 0.007, 0.4, 4)
BEATS = replace(TIES, control="none", trial=0, outcome="BEATS", difference=0.116, low=0.05, high=0.18)
UNASKED = Question("uniform", "nominee", 2, False, "features must beat `none` and `outputs` first")


def trial(number, values, control="", overhead=1.0, recipe=None):
    recipe = recipe or Recipe(MAPPING, feature_share=0.5)
    seeds = SEEDS[: len(values)]
    return TrialSummary(
        number, "control" if control else "curve", control, "complete", 0.8, recipe.to_json(), {}, tuple(values),
        overhead, confirmed_seeds=seeds,
    )  # fmt: skip


def layers(names):
    return tuple(Layer(name, "Block", "vector", (8,), 1) for name in names)


@pytest.fixture
def verdict():
    """`verdict(decision, **changes)`: features beat `none` and tie with `outputs`, unless it is changed."""

    def make(decision="use_outputs", **changes):
        made = Verdict(
            "a sentence", 3, 1, Noise(0.01, 0.002, True), (Against("last", 4, None, 0.003, None, None, None, 2),),
            ("a warning about `space.lr`",), decision, 0.01, "as stated in the study file", (BEATS, TIES, UNASKED),
        )  # fmt: skip
        return replace(made, **changes)

    return make


@pytest.fixture
def study(verdict):
    """`study(**changes)`: the overview of that study."""

    def make(**changes):
        trials = (
            trial(0, [0.85, 0.86, 0.87, 0.88], "none", 0.95, Recipe()),
            trial(1, [0.97, 0.98, 0.97, 0.98], "outputs", 1.0, Recipe(output_weight=1.0)),
            trial(3, [0.97, 0.97, 0.98, 0.98], overhead=1.5),
            trial(4, [0.97, 0.97], "last", 1.4),
        )
        made = StudyOverview(
            "digits", "complete", "accuracy", "maximize", 100, 60, 64, 120, 118, 136, {"accuracy": 0.985}, verdict(),
            StudyCost(42.0, 5000), trials,
        )  # fmt: skip
        return replace(made, **changes)

    return make


@pytest.fixture
def details(study, similarity):
    """`details(n_trials, **changes)`: its details with a search of so many trials; changes are of the overview."""

    def make(n_trials=40, **changes):
        history = tuple(TrialValue(i, "curve", "", 0.5 + (i * 37 % 41) / 100) for i in range(n_trials))
        students, teachers = [f"blocks.{i}" for i in range(3)], [f"blocks.{i}" for i in range(6)]
        facts = StudyFacts(
            environment={"torch": "2.13.0", "task_sha256": "0" * 64},
            teacher={"accuracy": 0.985},
            layers={"student": layers(students), "teacher": layers(teachers)},
            similarity=similarity(3, 6, student="blocks.{}", teacher="blocks.{}"),
            margin=0.01,
            margin_reason="as stated in the study file",
        )
        stages = (StageCost("tune", 44, 43, 1, 20.0, 1320), StageCost("confirm", 10, 10, 0, 22.0, 1000))
        when = "2026-11-27T02:30:51.000001+00:00"
        return StudyDetails(study(**changes), facts, {}, history, stages, when, when)

    return make
