"""What a measured value must be, to be compared and stored."""

import math
from collections.abc import Mapping
from dataclasses import replace

from mapsearch.core.errors import did_you_mean
from mapsearch.core.runs import RunResult

LARGEST_VALUE = 1e100
"""Statistics square a metric's values: larger ones would overflow there."""


def metric_problem(metrics: Mapping[str, float], name: str) -> str:
    """Why the metric of that name cannot be compared; empty when it can."""
    if name not in metrics:
        known = (
            f"; it measures {', '.join(sorted(metrics)) or 'nothing'}; others are for `Task.metric_objects()` to define"
        )
        hint = did_you_mean(name, list(metrics)) or known
        return f"`metric: {name}` is not measured by the task{hint}"
    value = metrics[name]
    if math.isnan(value):
        cause = "a labelled sample, or the whole set, has no value (the label -100 marks samples that do not count)"
        return f"metric `{name}` must be a finite number, but got nan: {cause}"
    if not math.isfinite(value) or abs(value) > LARGEST_VALUE:
        return f"metric `{name}` must be a finite number of at most {LARGEST_VALUE:g}, but got {value}"
    return ""


def storable(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """The metrics with None for those that are not finite, which JSON cannot hold."""
    return {name: value if math.isfinite(value) else None for name, value in metrics.items()}


def judged_by(result: RunResult, name: str) -> RunResult:
    """The result of a run; invalid when it is complete without a usable value of the study's metric."""
    problem = metric_problem(result.metrics, name) if result.state == "complete" else ""
    return replace(result, state="invalid", error=problem) if problem else result
