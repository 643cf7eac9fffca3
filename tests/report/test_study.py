"""What people and machines read of a study: the JSON of the contract, tables and sentences."""

import json
import subprocess
import sys

import pytest
from rich.console import Console

from mapsearch import report
from mapsearch.api import queries
from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.similarity import Similarity
from mapsearch.core.summaries import RunSummary
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Against, Noise, Verdict

MAPPING = LayerMapping((Pair("s.0", "t.1", 1.0),))
SIMILARITY = Similarity(("s.0", "s.1"), ("t.0", "t.1"), ((0.9, 0.2), (0.02, 0.7)), 0.1, "cka", 64, "rows", 0.05)


@pytest.fixture
def shown():
    """`shown(table)` -> its text on a wide terminal."""

    def text(table):
        console = Console(width=300)
        with console.capture() as capture:
            console.print(table)
        return capture.get()

    return text


def trial(number, control="", value=0.5, **fields):
    return Trial(
        number, "control" if control else "curve", Recipe(MAPPING, feature_share=0.5), control, value=value, **fields
    )


def run(number, seconds, seed=0, stage="search", value=0.5, rung=0):
    key = (number, rung, seed)
    return RunSummary(*key, stage, 10, "complete", value, seconds)


def test_it_needs_no_torch():
    code = "import sys, mapsearch.report; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_json_of_a_study_has_the_fields_of_the_contract(finished):
    data = queries.show("tiny", finished[1])
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert set(data) == {
        "name", "state", "metric", "direction", "n_trials", "n_runs", "n_complete", "n_expected", "teacher",
        "verdict", "trials", "cost",
    }  # fmt: skip
    assert (data["name"], data["state"], data["metric"], data["direction"]) == (
        "tiny",
        "complete",
        "accuracy",
        "maximize",
    )
    verdict = data["verdict"]
    assert {"sentence", "recommended", "noise", "against"} <= set(verdict)
    assert set(verdict["noise"]) >= {"seed_sd", "mapping_sd", "flat"}
    for row in verdict["against"]:
        assert set(row) >= {"control", "outcome", "difference", "low", "high", "p_value", "n_seeds"}
        assert row["outcome"] in ("BEATS", "TIES", "WORSE", "INCONCLUSIVE")
        assert row["low"] <= row["difference"] <= row["high"]
    numbers = [t["number"] for t in data["trials"]]
    assert numbers == list(range(data["n_trials"]))
    assert verdict["recommended"] in numbers
    for row in data["trials"]:
        assert set(row) >= {"number", "proposer", "state", "value", "recipe", "confirmed", "overhead"}
        assert set(row["recipe"]) >= {
            "pairs", "loss", "projector", "aggregation", "feature_share", "output_weight", "temperature",
        }  # fmt: skip
        assert all(set(pair) == {"student", "teacher", "weight"} for pair in row["recipe"]["pairs"])
    confirmed = {row["number"]: row["confirmed"] for row in data["trials"]}
    for row in verdict["against"]:
        gains = [one - other for one, other in zip(confirmed[verdict["nominee"]], confirmed[row["trial"]], strict=True)]
        assert sum(gains) / row["n_seeds"] == pytest.approx(row["difference"], abs=1e-9)
    assert set(data["cost"]) == {"device_seconds", "full_run_equivalents"}
    assert data["cost"]["device_seconds"] > 0


def test_full_runs_are_counted_in_steps(finished):
    study, _, runs = queries.read("tiny", finished[1])
    data = queries.show("tiny", finished[1])
    assert data["cost"]["full_run_equivalents"] == sum(r.n_steps for r in runs) / 12
    assert data["n_runs"] == len(runs) == study.n_complete


def test_overhead_is_time_over_that_of_logits_at_equal_rung_and_seed():
    runs = [run(0, 2.0, seed=0), run(0, 4.0, seed=1), run(1, 3.0, seed=0), run(1, 10.0, seed=1), run(1, 99.0, seed=2)]
    assert report.overheads(runs, 0) == {0: 1.0, 1: 2.0}
    assert report.overheads(runs, None) == {}


def test_the_sentence_on_similarity():
    assert report.similarity_sentence(SIMILARITY) == (
        "most alike: s.0 ~ t.0 (0.90), s.1 ~ t.1 (0.70); noise floor 0.100, 64 samples"
    )
    flat = Similarity(("s.0",), ("t.0", "t.1"), ((0.05, 0.01),), 0.1, "cka", 64, "rows", 0.05)
    assert "cannot rank layers here" in report.similarity_sentence(flat)


def test_values_in_the_noise_are_in_brackets(shown):
    text = shown(report.similarity_table(SIMILARITY))
    assert "(0.02)" in text
    assert "0.90" in text
    assert "(0.90)" not in text


@pytest.mark.parametrize(
    ("noise", "when_flat", "said"),
    [
        (Noise(0.01, 0.05, False), "continue", "mappings differ by more than chance"),
        (Noise(0.01, 0.0, True), "continue", "`search.when_flat: stop` in the study file would save the search"),
        (Noise(0.01, 0.0, True), "stop", "the mapping may not matter"),
    ],
)
def test_the_sentence_on_noise(noise, when_flat, said):
    assert report.noise_sentence(noise, when_flat).endswith(said)


def test_the_verdict_as_a_table(shown):
    row = Against("uniform", 7, "TIES", 0.01, -0.02, 0.04, 0.5, 6)
    text = shown(report.verdict_table(Verdict("so", 3, 7, None, (row,)), "accuracy"))
    assert "gain of the nominee (trial 3), accuracy, + is better" in text
    for cell in ("uniform", "TIES", "+0.0100", "-0.0200 .. +0.0400", "0.500", "6", "7"):
        assert cell in text


@pytest.mark.parametrize(("direction", "first", "arrow"), [("maximize", "0.9000", "↑"), ("minimize", "0.1000", "↓")])
def test_the_best_recipes_come_first_and_the_controls_last(shown, direction, first, arrow):
    trials = [
        trial(0, "outputs", 0.3),
        trial(1, value=0.1),
        trial(2, value=0.9),
        trial(3, value=None, state="infeasible"),
    ]
    lines = shown(report.trials_table(trials, [], "accuracy", direction)).splitlines()
    assert f"search accuracy {arrow}" in lines[2]
    rows = [line for line in lines if line.startswith("│")]
    assert first in rows[0]
    assert rows[-1].split()[3] == "outputs"


def test_a_confirmed_recipe_comes_before_a_better_search_value(shown):
    trials = [trial(1, value=0.9), trial(2, value=0.1)]
    runs = [run(2, 1.0, seed=s, stage="confirm", value=v, rung=2) for s, v in ((5, 0.6), (6, 0.8))]
    rows = [
        line
        for line in shown(report.trials_table(trials, runs, "accuracy", "maximize")).splitlines()
        if "curve" in line
    ]
    assert "0.7000 (2)" in rows[0]
    assert "-" in rows[1]


def test_layers_say_why_not(shown):
    layers = [Layer("a", "Linear", "vector", (8,), 1), Layer("b", "ModuleList", "", (), 0, "is never called")]
    text = shown(report.layers_table("student", layers))
    assert "student: 1 of 2 layers can be mapped" in text
    assert "is never called" in text


HOSTILE = "a\x1b[31m\u202e[bold]\n"
SHOWN = r"a\x1b[31m\u202e[bold]\n"


def test_hostile_names_are_shown_as_text(shown):
    recipe = Recipe(LayerMapping((Pair(HOSTILE, "t", 1.0),)), feature_share=0.5)
    crashed = RunSummary(0, 0, 0, "search", 10, "crashed", None, error=HOSTILE)
    tables = [
        report.verdict_table(Verdict("so", 3, 7, None, (Against("uniform", 7, "TIES", 0, 0, 0, 1, 6),)), HOSTILE),
        report.trials_table([Trial(0, "tune", recipe, state="infeasible")], [crashed], HOSTILE, "maximize"),
        report.layers_table("student", [Layer(HOSTILE, HOSTILE, None, (), 0, HOSTILE)]),
        report.findings_table([("error", "task", HOSTILE)]),
    ]
    for table, n_names in zip(tables, (1, 4, 3, 1), strict=True):
        text = shown(table)
        assert text.count(SHOWN) == n_names
        assert text.replace("\n", "").isprintable()
