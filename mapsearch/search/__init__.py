"""STEP: what is known so far -> what to run next. Pure functions: stages, promotion, stopping."""

from mapsearch.search.controls import (
    EQUAL_TIME,
    control_trials,
    equal_time,
    hand_made,
    matched_to,
    matched_trials,
    missing_matched_trials,
    other_projector,
    same_mapping,
    telling_first,
    verdict_controls,
)
from mapsearch.search.forecast import forecast_stages
from mapsearch.search.nominations import nominate
from mapsearch.search.overheads import fit_overheads
from mapsearch.search.plans import (
    FULL,
    SEARCH,
    TUNE,
    cohorts,
    confirm_seeds,
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
from mapsearch.search.redo import crashed, runs_to_redo, trials_to_redo
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
    "EQUAL_TIME", "FULL", "NOISE", "PLAIN", "SEARCH", "TUNE", "at_every_rate", "base_recipe", "best_of_round",
    "beyond_edges", "budget_sentence", "by_seed", "cohorts", "confirm_seeds", "control_trials", "crashed", "edges",
    "equal_time", "fit_overheads", "forecast_stages", "hand_made", "incumbent", "matched_to",
    "matched_trials", "missing_matched_trials", "missing_trials", "n_raced", "n_seeds_affordable", "n_shortlisted",
    "n_to_ask", "noise_seeds", "noise_table", "nominate", "other_projector", "outcome", "plan", "proposal_plans",
    "runs_to_redo", "same_mapping", "search_seeds", "shortlist", "shortlist_seeds", "spent", "telling_first",
    "trials_to_redo", "tune_plans", "tune_recipes", "tune_seeds", "tuned", "tuned_further", "verdict_controls",
    "with_tuned_rates",
]  # fmt: skip
