"""Failed runs are read with what they have in common, on both databases."""

from mapsearch.core.failures import InCommon
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import RunPlan, RunResult
from mapsearch.core.trials import Trial
from mapsearch.store.handle import StudyHandle
from mapsearch.store.store import Store

MAPPING = LayerMapping((Pair("s", "t", 1.0),))


def fill(study: StudyHandle) -> None:
    """Twelve trials on two seeds: all of seed 1 with the loss `gram` diverge, one run crashes, one still waits."""
    trials = [
        Trial(n, "curve", Recipe(MAPPING, "gram" if n % 3 == 0 else "nmse", feature_share=0.5)) for n in range(12)
    ]
    study.add_trials(trials)
    plans = [RunPlan(t.number, t.recipe, 0, seed, "search", "valid", 6) for t in trials for seed in range(2)]
    study.plan_runs(plans)
    study.start_runs(plans[:-1], "worker")
    for plan in plans[:-1]:
        study.finish_run(result(plan), None)


def result(plan: RunPlan) -> RunResult:
    if plan.recipe.loss == "gram" and plan.seed == 1:
        return RunResult(plan.key, "diverged", error=f"loss is nan at step {plan.trial}")
    if plan.trial == 1 and plan.seed == 0:
        return RunResult(plan.key, "crashed", error="OSError: disk full")
    return RunResult(plan.key, "complete", {"accuracy": 0.5})


def test_failures_are_grouped_and_explained(store: Store, study: StudyHandle) -> None:
    assert store.failures("digits") == ()
    fill(study)
    diverged, crashed = store.failures("digits")
    assert (diverged.state, diverged.error, diverged.n_runs) == ("diverged", "loss is nan at step 0", 4)
    assert diverged.in_common == (InCommon("loss", ("gram",), 4, 8), InCommon("seed", ("1",), 4, 11))
    assert (crashed.state, crashed.n_runs, crashed.in_common) == ("crashed", 1, ())
