"""Which trial and which run are exported."""

from dataclasses import replace

import pytest

from mapsearch.core.errors import ExportError
from mapsearch.core.facts import StudyFacts
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run, RunResult
from mapsearch.core.studies import Study
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict
from mapsearch.exports.source import export_source, multipliers

FACTS = StudyFacts(layers={"student": (), "teacher": ()}, environment={"mapsearch": "0.1.0", "torch": "2.13.0"})
SPEC = {"name": "digits", "task": "task.py:Digits", "metric": "accuracy", "direction": "maximize"}
VERDICT = Verdict("TIES logits", None, 1, None, ())
TRIALS = [Trial(number, "control", Recipe(output_weight=float(number))) for number in range(3)]


def study(**changes):
    return replace(Study("digits", "complete", SPEC, "", FACTS, "", "", 3, 6, 6), **changes)


def run(trial, rung, seed, value=0.5, state="complete"):
    first_loss = trial + rung / 10 + seed / 100
    return Run(
        trial, rung, seed, "confirm", "test", 100 * (rung + 1), state, 1, value if state == "complete" else None,
        RunResult((trial, rung, seed), state, first_loss=first_loss),
    )  # fmt: skip


def test_the_reference_run_has_the_highest_rung_and_then_the_lowest_seed():
    runs = [run(0, 0, 0, 0.9), run(0, 2, 7, 0.6), run(0, 2, 5, 0.4), run(0, 2, 3, state="diverged"), run(1, 2, 1)]
    source = export_source(study(), TRIALS, runs, 0)
    assert (source.seed, source.n_steps, source.first_loss) == (5, 300, pytest.approx(0.25))
    assert source.values == (0.4, 0.6), "runs of shorter schedules are another quantity"


def test_the_verdict_recommends_and_without_one_the_best_trial_is_taken():
    runs = [run(0, 0, 0, 0.99), run(0, 2, 0, 0.5), run(1, 2, 0, 0.4), run(2, 2, 0, 0.6)]
    assert export_source(study(facts=replace(FACTS, verdict=VERDICT)), TRIALS, runs).trial == 1
    assert export_source(study(), TRIALS, runs).trial == 2
    assert export_source(study(spec={**SPEC, "direction": "minimize"}), TRIALS, runs).trial == 1
    undecided = replace(FACTS, verdict=Verdict("INCONCLUSIVE", None, None, None, ()))
    assert export_source(study(facts=undecided), TRIALS, runs).verdict == "INCONCLUSIVE"


def test_a_header_says_where_the_numbers_come_from():
    runs = [run(1, 2, 0, 0.4), run(1, 2, 1, 0.6)]
    source = export_source(study(facts=replace(FACTS, verdict=VERDICT)), TRIALS, runs)
    assert source.provenance == (
        "study: digits, trial 1, reference seed 0",
        "recipe: outputs kl 1, temperature 1",
        "trained: 300 steps of a batch of 64, adamw, lr 0.002, projectors x 1, weight decay 0.01, warm-up 0.05, then "
        "cosine, gradient norm at most 5, precision auto",
        "verdict: TIES logits",
        "accuracy: 0.5 (0.4 to 0.6, 2 runs of 300 steps)",
        "versions: mapsearch 0.1.0, torch 2.13.0",
        "direction: student <- teacher",
    )


@pytest.mark.parametrize(
    ("number", "runs", "message"),
    [
        (7, [run(0, 0, 0)], "study `digits` has no trial 7; its trials are 0 to 2, `mapsearch show digits` lists them"),
        (1, [run(1, 0, 0, state="diverged")], r"trial 1 of study `digits` must have a complete run .*\(diverged\)"),
        (1, [], r"trial 1 of study `digits` must have a complete run .*\(none was planned\)"),
        (None, [], "study `digits` has no complete run"),
    ],
)
def test_what_cannot_be_exported_is_one_clear_line(number, runs, message):
    with pytest.raises(ExportError, match=f"^{message}") as caught:
        export_source(study(), TRIALS, runs, number)
    assert len(caught.value.problems) == 1


def test_multipliers_are_the_share_of_the_normalised_weight_over_the_scale():
    recipe = Recipe.from_json(
        {
            "pairs": [
                {"student": "a", "teacher": "x", "weight": 3.0},
                {"student": "a", "teacher": "y", "weight": 1.0},
            ],
            "feature_share": 0.8,
        }
    )
    assert multipliers(recipe, (2.0, 0.1)) == pytest.approx((0.8 * 0.75 / 2.0, 0.8 * 0.25 / 0.1))
