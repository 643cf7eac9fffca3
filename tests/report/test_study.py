"""What people read of a study: tables and sentences."""

import subprocess
import sys
from dataclasses import replace

import pytest
from rich.console import Console

from mapsearch.core.layers import Layer
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.summaries import TrialSummary
from mapsearch.core.verdict import Against, Noise, Question, Verdict
from mapsearch.report import study as report
from mapsearch.report.trials import trials_tables

MAPPING = LayerMapping((Pair("s.0", "t.1", 1.0),))


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
    recipe = Recipe(MAPPING, feature_share=0.5).to_json()
    proposer = "control" if control else "curve"
    return TrialSummary(number, proposer, control, "complete" if value else "infeasible", value, recipe, {}, **fields)


def test_it_needs_no_torch():
    code = "import sys, mapsearch.report.study; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


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
    questions = (
        Question("outputs", "nominee", 7, True, "", "TIES", 0.01, -0.02, 0.04, 0.5, 6),
        Question("uniform", "nominee", 8, asked=False, why_not="features must beat `none` and `outputs` first"),
        Question("none", "outputs", 9, True, "", "BEATS", 0.2, 0.1, 0.3, 0.01, 4),
    )
    rows = (
        Against("last", 10, None, 0.03, None, None, None, 2), Against("longer", 11, None, 0, None, None, None, 2, 420),
    )  # fmt: skip
    text = shown(report.verdict_table(Verdict("so", 3, 7, None, rows, margin=0.05, questions=questions), "accuracy"))
    assert "gain of the nominee (trial 3), accuracy, + is better, margin 0.05" in text
    for cell in ("outputs", "TIES", "+0.0100", "-0.0200 .. +0.0400", "6", "7", "outputs against none"):
        assert cell in text
    assert "uniform: not asked, features must beat" in text
    assert "context" in text
    assert "longer (420 steps)" in text


def test_the_verdict_of_an_earlier_version_as_a_table(shown):
    row = Against("uniform", 7, "TIES", 0.01, -0.02, 0.04, 0.5, 6)
    text = shown(report.verdict_table(Verdict("so", 3, 7, None, (row,)), "accuracy"))
    assert "+ is better" in text
    for cell in ("uniform", "TIES", "+0.0100", "-0.0200 .. +0.0400"):
        assert cell in text


def test_every_metric_on_fresh_seeds_stands_beside_that_of_the_controls(shown):
    judged = Verdict("so", 3, 1, None, (), questions=(Question("outputs", trial=1), Question("uniform", trial=2)))
    trials = [
        trial(3, confirmed=(0.8, 0.9), confirmed_metrics={"accuracy": (0.8, 0.9), "loss": (1.0, None)}),
        trial(1, "outputs", confirmed=(0.7, 0.7), confirmed_metrics={"accuracy": (0.7, 0.7), "loss": (1.0, 3.0)}),
        trial(2, "uniform"),
    ]
    rows = [line.split() for line in shown(report.metrics_table(trials, judged)).splitlines()]
    assert [row for row in rows if row and row[0] in ("nominee", "outputs", "uniform")] == [
        ["nominee", "0.8500", "-", "2", "3"], ["outputs", "0.7000", "2.0000", "2", "1"],
    ]  # fmt: skip
    alone = [replace(t, confirmed_metrics={"accuracy": t.confirmed}) for t in trials[:2]]
    assert report.metrics_table(alone, judged) is None, "the verdict says it all"


def test_layers_say_why_not(shown):
    layers = [Layer("a", "Linear", "vector", (8,), 1), Layer("b", "ModuleList", "", (), 0, "is never called")]
    text = shown(report.layers_table("student", layers, {"a"}))
    assert "takes part" in text
    assert "student: 1 of 2 layers can be mapped" in text
    assert "is never called" in text


HOSTILE = "a\x1b[31m\u202e[bold]\n"
SHOWN = r"a\x1b[31m\u202e[bold]\n"


def test_hostile_names_are_shown_as_text(shown):
    recipe = Recipe(LayerMapping((Pair(HOSTILE, "t", 1.0),)), feature_share=0.5).to_json()
    crashed = TrialSummary(0, "tune", "", "infeasible", None, recipe, {}, warnings=(HOSTILE,))
    tables = [
        report.verdict_table(Verdict("so", 3, 7, None, (Against("uniform", 7, "TIES", 0, 0, 0, 1, 6),)), HOSTILE),
        trials_tables([crashed], HOSTILE, "maximize", 300)[0],
        report.layers_table("student", [Layer(HOSTILE, HOSTILE, None, (), 0, HOSTILE)]),
        report.findings_table([("error", "task", HOSTILE)]),
    ]
    for table, n_names in zip(tables, (1, 3, 3, 1), strict=True):
        text = shown(table)
        assert text.count(SHOWN) == n_names
        assert text.replace("\n", "").isprintable()
