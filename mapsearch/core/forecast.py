"""What a study will take: runs and time by stage."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mapsearch.core.runs import Stage


@dataclass(frozen=True)
class StageForecast:
    """Runs of one stage; `n_steps` of each."""

    stage: Stage
    n_runs: int
    n_steps: int


def forecast_text(stages: Sequence[StageForecast], step_seconds: float, run_seconds: float, n_workers: int) -> str:
    """The forecast as a sentence.

    Args:
        stages: all stages of the study, from `search.forecast_stages`.
        step_seconds: time of one optimizer step, its part of the teacher pass included.
        run_seconds: time of everything that each run does once.
    """
    n_runs, n_steps = sum(s.n_runs for s in stages), sum(s.n_runs * s.n_steps for s in stages)
    seconds = (n_steps * step_seconds + n_runs * run_seconds) / n_workers
    lengths = sorted({s.n_steps for s in stages})
    by_stage = {s.stage: sum(other.n_runs for other in stages if other.stage == s.stage) for s in stages}
    parts = ", ".join(f"{stage} {n}" for stage, n in by_stage.items())
    workers = "1 worker" if n_workers == 1 else f"{n_workers} workers"
    return (
        f"forecast: at most {n_runs} runs ({parts}) of {', '.join(map(str, lengths))} steps, "
        f"{n_steps / lengths[-1]:.0f} full-run equivalents, about {duration(seconds)} on {workers}"
    )


def duration(seconds: float) -> str:
    """Seconds for people: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{max(1, math.ceil(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
