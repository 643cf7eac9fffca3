"""Which runs are trained, on which seeds, in which cohorts."""

import math
from collections.abc import Iterable, Sequence

from mapsearch.core.budget import is_small
from mapsearch.core.runs import Cohort, RunPlan, Split, Stage
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial

SEARCH, TUNE, FULL = 0, 1, 2
"""The rungs: indices into `search.rungs`. The shortlist runs at the tune rung."""

SHORTLIST_SEED_OFFSET, CONFIRM_SEED_OFFSET = 500, 1000
"""Seeds of these stages begin so far above the study's seed, where no earlier run has been."""


def tune_seeds(spec: StudySpec) -> list[int]:
    """Seeds of the tune stage; the first one's runs at the first rung choose what is tuned further."""
    return [spec.seed] if is_small(spec.budget) else [spec.seed, spec.seed + 1]


def search_seeds(spec: StudySpec) -> list[int]:
    """Seeds of each proposal and control at the first rung."""
    return [spec.seed + i for i in range(spec.search.seeds)]


def noise_seeds(spec: StudySpec) -> list[int]:
    """Seeds of the noise stage; the first are those of the search, so that its runs are shared."""
    return [spec.seed + i for i in range(max(spec.search.noise_seeds, spec.search.seeds))]


def shortlist_seeds(spec: StudySpec) -> tuple[list[int], list[int], list[int]]:
    """Fresh seeds of the three rounds of the shortlist."""
    first = spec.seed + SHORTLIST_SEED_OFFSET
    return [first], [first + 1], [first + 2, first + 3]


def confirm_seeds(spec: StudySpec, n: int) -> list[int]:
    """The first `n` of the seeds that nothing before the confirm stage has seen."""
    return [spec.seed + CONFIRM_SEED_OFFSET + i for i in range(n)]


def plan(
    spec: StudySpec, trials: Iterable[Trial], rung: int, seeds: Sequence[int], stage: Stage, split: Split = "valid"
) -> list[RunPlan]:
    """One run per trial and seed."""
    n_steps = spec.n_steps(rung)
    return [RunPlan(t.number, t.recipe, rung, seed, stage, split, n_steps) for seed in seeds for t in trials]


def proposal_plans(spec: StudySpec, proposals: Sequence[Trial]) -> list[RunPlan]:
    """The runs of proposals at the first rung; a proposal that maps nothing has none."""
    return plan(spec, [t for t in proposals if t.recipe.mapping.pairs], SEARCH, search_seeds(spec), "search")


def n_to_ask(spec: StudySpec, n_proposed: int, n_workers: int) -> int:
    """How many proposals a free worker gets: its share of a batch, as long as there are any."""
    return min(math.ceil(spec.search.batch / n_workers), spec.search.trials - n_proposed)


def cohorts(plans: Sequence[RunPlan], n_workers: int, largest: int) -> list[Cohort]:
    """Runs that may share batches, in groups that keep every worker busy.

    Runs without a teacher are kept apart from the others only by chance: they ride along for nothing.
    """
    groups: dict[tuple[int, int, Split], list[RunPlan]] = {}
    for run in plans:
        groups.setdefault((run.seed, run.n_steps, run.split), []).append(run)
    size = max(1, min(largest, math.ceil(len(plans) / n_workers)))
    return [tuple(group[i : i + size]) for group in groups.values() for i in range(0, len(group), size)]
