"""What a study will take: runs and time by stage."""

import math
from dataclasses import dataclass

from mapsearch.core.runs import Stage
from mapsearch.core.spec import StudySpec

N_PLAIN, N_MAPPINGS, N_NOISE = 4, 8, 5
"""Controls at their own settings (the article's among them), hand-made mappings, and those run on several seeds."""


@dataclass(frozen=True)
class StageForecast:
    """Runs of one stage; `n_steps` of each."""

    stage: Stage
    n_runs: int
    n_steps: int


def forecast_stages(spec: StudySpec) -> tuple[StageForecast, ...]:
    """Every stage of the study, at most: controls that are not legal here, or equal the nominee, fall away."""
    search, confirm = spec.search, spec.confirm
    n_tune = 1 + len(spec.space.logit_weight) * (len(spec.space.temperature) + 1)
    n_featured = search.trials + N_MAPPINGS + 1
    counts: tuple[tuple[Stage, int, int], ...] = (
        ("tune", 2 * n_tune, 1),
        ("noise", N_NOISE * max(0, search.noise_seeds - search.seeds), 0),
        ("search", (search.trials + N_PLAIN + N_MAPPINGS) * search.seeds, 0),
        ("shortlist", 2 * max(3, math.ceil(n_featured / 4)), 1),
        ("confirm", (confirm.finalists + N_PLAIN + N_MAPPINGS) * confirm.seeds, 2),
    )
    return tuple(StageForecast(stage, n_runs, spec.n_steps(rung)) for stage, n_runs, rung in counts)


def forecast_text(spec: StudySpec, step_seconds: float, run_seconds: float, n_workers: int) -> str:
    """The forecast as a sentence.

    Args:
        step_seconds: time of one optimizer step, its part of the teacher pass included.
        run_seconds: time of everything that each run does once.
    """
    stages = forecast_stages(spec)
    n_runs, n_steps = sum(s.n_runs for s in stages), sum(s.n_runs * s.n_steps for s in stages)
    seconds = (n_steps * step_seconds + n_runs * run_seconds) / n_workers
    parts = ", ".join(f"{s.stage} {s.n_runs}" for s in stages)
    workers = "1 worker" if n_workers == 1 else f"{n_workers} workers"
    return (
        f"forecast: about {n_runs} runs ({parts}) of {', '.join(str(spec.n_steps(rung)) for rung in range(3))} steps, "
        f"{n_steps / spec.train.steps:.0f} full-run equivalents, at least {duration(seconds)} on {workers}"
    )


def duration(seconds: float) -> str:
    """Seconds for people: `40 s`, `12 min`, `3.5 h`."""
    if seconds < 90:
        return f"{max(1, math.ceil(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
