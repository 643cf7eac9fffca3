"""STEP: what is known so far -> what to run next. Pure functions: stages, promotion, stopping."""

from mapsearch.search.controls import (
    PLAIN,
    control_trials,
    matched_to,
    matched_trials,
    missing_matched_trials,
    same_mapping,
    tune_trials,
    tuned_outputs,
    verdict_controls,
)
from mapsearch.search.forecast import forecast_stages
from mapsearch.search.plans import (
    FULL,
    SEARCH,
    TUNE,
    cohorts,
    confirm_seeds,
    is_free,
    n_to_ask,
    noise_seeds,
    plan,
    proposal_plans,
    search_seeds,
    tune_seeds,
)
from mapsearch.search.promotion import NOISE, by_seed, finalists, incumbent, noise_table, outcome, shortlist
from mapsearch.search.redo import PROPOSALS, runs_to_redo, trials_to_redo

__all__ = [
    "FULL", "NOISE", "PLAIN", "PROPOSALS", "SEARCH", "TUNE", "by_seed", "cohorts", "confirm_seeds", "control_trials",
    "finalists", "forecast_stages", "incumbent", "is_free", "matched_to", "matched_trials", "missing_matched_trials",
    "n_to_ask", "noise_seeds", "noise_table", "outcome", "plan", "proposal_plans", "runs_to_redo", "same_mapping",
    "search_seeds", "shortlist", "trials_to_redo", "tune_seeds", "tune_trials", "tuned_outputs", "verdict_controls",
]  # fmt: skip
