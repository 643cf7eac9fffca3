"""How many runs a study will take."""

from mapsearch.core.forecast import StageForecast
from mapsearch.core.outputs import CLASS_SCORES, Outputs
from mapsearch.core.runs import Stage
from mapsearch.core.spec import StudySpec
from mapsearch.proposers.controls import MAPPING_CONTROLS
from mapsearch.search.controls import PLAIN, tune_trials
from mapsearch.search.plans import FULL, SEARCH, TUNE, confirm_seeds, noise_seeds, search_seeds, tune_seeds
from mapsearch.search.promotion import NOISE, n_shortlisted


def forecast_stages(spec: StudySpec, outputs: Outputs = CLASS_SCORES) -> tuple[StageForecast, ...]:
    """The runs of every stage, at most: controls that are not legal here, or equal the nominee, fall away."""
    n_seeds = len(search_seeds(spec))
    n_controls, n_mapped = len(PLAIN) + 1 + len(MAPPING_CONTROLS), len(MAPPING_CONTROLS) + 1  # `article` is the one
    counts: tuple[tuple[Stage, int, int], ...] = (
        ("tune", len(tune_trials(spec, outputs)) * len(tune_seeds(spec)), TUNE),
        ("noise", len(NOISE) * (len(noise_seeds(spec)) - n_seeds), SEARCH),
        ("search", (spec.search.trials + n_controls) * n_seeds, SEARCH),
        ("shortlist", n_shortlisted(spec.search.trials + n_mapped) * len(tune_seeds(spec)), TUNE),
        ("confirm", (spec.confirm.finalists + n_controls) * len(confirm_seeds(spec)), FULL),
    )
    return tuple(StageForecast(stage, n_runs, spec.n_steps(rung)) for stage, n_runs, rung in counts)
