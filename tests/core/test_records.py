import json

import pytest

from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import FINISHED, INFEASIBLE, Run, RunPlan
from mapsearch.core.verdict import Against, Noise, Verdict

AGAINST = Against("uniform", 4, "TIES", 0.003, -0.01, 0.016, 0.6, 6)


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict("No mapping beats logits.", 3, 1, Noise(0.01, 0.004, True), (AGAINST,), ("only 6 seeds",)),
        Verdict("Nothing was confirmed.", None, None, None, ()),
    ],
)
def test_json_gives_the_same_verdict_back(verdict):
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict


def test_a_run_and_its_plan_have_one_identity():
    plan = RunPlan(7, Recipe(), rung=1, seed=3, stage="shortlist", split="valid", n_steps=120)
    run = Run(7, 1, 3, "shortlist", "valid", 120, state="waiting", attempt=0, value=None, result=None)
    assert plan.key == run.key == (7, 1, 3)


def test_infeasible_runs_are_finished_and_complete_ones_are_feasible():
    assert set(INFEASIBLE) < set(FINISHED)
    assert "complete" in FINISHED
    assert "complete" not in INFEASIBLE
    assert not {"waiting", "running", "stopped"} & set(FINISHED)
