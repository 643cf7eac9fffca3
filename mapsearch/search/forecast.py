"""How many runs a study will take."""

import math

from mapsearch.core.budget import full_runs
from mapsearch.core.forecast import StageForecast
from mapsearch.core.outputs import CLASS_SCORES, Outputs
from mapsearch.core.spec import StudySpec
from mapsearch.proposers.controls import MAPPING_CONTROLS
from mapsearch.search.plans import FULL, SEARCH, TUNE, noise_seeds, search_seeds, tune_seeds
from mapsearch.search.promotion import NOISE, n_raced, n_shortlisted
from mapsearch.search.spending import N_ASKED, n_seeds_affordable
from mapsearch.search.tuning import PLAIN, missing_trials, n_tuned, tune_plans, tune_recipes

N_QUESTIONED = 4
"""Trials that questions are about: the nominee, `none`, `outputs` and `uniform`."""


def forecast_stages(spec: StudySpec, outputs: Outputs = CLASS_SCORES) -> tuple[StageForecast, ...]:
    """The runs of every stage, at most: questions that are answered early, and controls that fall away, save some.

    Context is trained as far as the budget pays; questions that all stay open take a trial more than it reckons with.
    """
    n_seeds = len(search_seeds(spec))
    n_controls, n_mapped = (
        len(PLAIN) + 2 + len(MAPPING_CONTROLS),
        len(MAPPING_CONTROLS) + 2,
    )  # `article`, another projector
    first = n_shortlisted(spec.search.trials + n_mapped)
    n_raced_on = n_raced(first, spec.confirm.finalists)
    tuned = tune_plans(spec, missing_trials(tune_recipes(spec, outputs), []))
    n_matched = len({plan.trial for plan in tuned if plan.recipe.uses_outputs})
    n_new = len(spec.space.lr) - (n_matched <= n_tuned(spec))  # so few have all run at one rate already
    n_tuned_on = min(n_tuned(spec), n_matched) * n_new
    n_finalists = 2 * min(first, spec.confirm.finalists) if spec.confirm.finalists > 1 else 0
    n_alone = 0 if spec.margin else 2
    before = (
        StageForecast("tune", sum(plan.rung == SEARCH for plan in tuned), spec.n_steps(SEARCH)),
        StageForecast(
            "tune", sum(plan.rung == TUNE for plan in tuned) + n_tuned_on * len(tune_seeds(spec)), spec.n_steps(TUNE)
        ),
        StageForecast("noise", len(NOISE) * (len(noise_seeds(spec)) - n_seeds), spec.n_steps(SEARCH)),
        StageForecast("search", (spec.search.trials + n_controls) * n_seeds, spec.n_steps(SEARCH)),
        StageForecast("shortlist", first + n_raced_on, spec.n_steps(TUNE)),
        StageForecast("shortlist", n_finalists + n_alone, spec.n_steps(FULL)),
    )
    before_full = sum(s.n_runs * s.n_steps for s in before) / spec.train.steps
    n_fresh = n_seeds_affordable(spec, before_full)
    n_context = n_controls - len(PLAIN)  # without `uniform`, with `outputs_equal_time`
    n_questioned = N_QUESTIONED * n_fresh
    n_paid = math.floor(full_runs(spec.budget) - before_full) + (N_QUESTIONED - N_ASKED) * n_fresh
    n_confirm = min(n_questioned + n_context * spec.confirm.context_seeds, max(n_questioned, n_paid))
    return (*before, StageForecast("confirm", n_confirm, spec.n_steps(FULL)))
