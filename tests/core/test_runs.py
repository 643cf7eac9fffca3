from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import FINISHED, INFEASIBLE, Run, RunPlan


def test_a_run_and_its_plan_have_one_identity():
    plan = RunPlan(7, Recipe(), rung=1, seed=3, stage="shortlist", split="valid", n_steps=120)
    run = Run(7, 1, 3, "shortlist", "valid", 120, state="waiting", attempt=0, value=None, result=None)
    assert plan.key == run.key == (7, 1, 3)


def test_infeasible_runs_are_finished_and_complete_ones_are_feasible():
    assert set(INFEASIBLE) < set(FINISHED)
    assert "complete" in FINISHED
    assert "complete" not in INFEASIBLE
    assert not {"waiting", "running", "stopped"} & set(FINISHED)
