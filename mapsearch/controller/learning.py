"""Whether the runs of a stage learned anything: what is told, before the rest of the study is paid for."""

from collections.abc import Collection

from mapsearch import search
from mapsearch.controller.context import StudyContext
from mapsearch.verdict.learning import has_learned


def learning_problem(context: StudyContext, rung: int, trials: Collection[int]) -> str:
    """What is wrong where no recipe came out above the untrained student and a constant guess; empty where one did."""
    spec, baseline = context.spec, context.study.facts().baseline.get("valid")
    if baseline is None:  # a study that an earlier version of mapsearch checked
        return ""
    sign = 1.0 if spec.direction == "maximize" else -1.0
    table = search.by_seed(context.runs, rung)
    values = {n: {seed: sign * value for seed, value in row.items()} for n, row in table.items() if n in trials}
    if not values or has_learned(values, sign * baseline):
        return ""
    best = sign * max(max(row.values()) for row in values.values())
    return (
        f"nothing learned in {spec.n_steps(rung)} steps: the best `{spec.metric}` of {best:.4g} is no better, beyond "
        f"chance, than {baseline:.4g} of the untrained student or a constant guess"
    )
