"""STEP: what is known so far -> what to run next. Pure functions: stages, promotion, stopping."""

from mapsearch.search.controls import (
    control_trials,
    matched_to,
    matched_trials,
    missing_matched_trials,
    same_mapping,
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
    shortlist_seeds,
    tune_seeds,
)
from mapsearch.search.promotion import (
    NOISE,
    best_of_round,
    by_seed,
    incumbent,
    n_raced,
    n_shortlisted,
    noise_table,
    outcome,
    shortlist,
)
from mapsearch.search.redo import PROPOSALS, runs_to_redo, trials_to_redo
from mapsearch.search.spending import budget_sentence, n_seeds_affordable, spent
from mapsearch.search.tuning import (
    PLAIN,
    at_every_rate,
    base_recipe,
    beyond_edges,
    edges,
    missing_trials,
    tune_plans,
    tune_recipes,
    tuned,
    tuned_further,
    with_tuned_rates,
)

__all__ = [
    "FULL", "NOISE", "PLAIN", "PROPOSALS", "SEARCH", "TUNE", "at_every_rate", "base_recipe", "best_of_round",
    "beyond_edges", "budget_sentence", "by_seed", "cohorts", "confirm_seeds", "control_trials", "edges",
    "forecast_stages", "incumbent", "is_free", "matched_to", "matched_trials", "missing_matched_trials",
    "missing_trials", "n_raced", "n_seeds_affordable", "n_shortlisted", "n_to_ask", "noise_seeds", "noise_table",
    "outcome", "plan", "proposal_plans", "runs_to_redo", "same_mapping", "search_seeds", "shortlist",
    "shortlist_seeds", "spent", "trials_to_redo", "tune_plans", "tune_recipes", "tune_seeds", "tuned",
    "tuned_further", "verdict_controls", "with_tuned_rates",
]  # fmt: skip
