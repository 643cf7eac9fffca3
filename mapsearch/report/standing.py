"""How far a study is, in words."""

from mapsearch.core.events import Standing
from mapsearch.core.forecast import duration

STAGES = {
    "check": "can everything that must learn, learn?",
    "compare": "which layers are alike?",
    "tune": "how good is a student without features, at its best settings?",
    "noise": "do mappings differ beyond seed noise?",
    "search": "which mapping and which weights teach best?",
    "shortlist": "which of the best stays best on fresh seeds?",
    "confirm": "does it hold on fresh seeds, beside its controls?",
}
"""The stages of a study in their order, and the question that each answers."""


def stage_text(stage: str) -> str:
    """`stage 5 of 7: which mapping and which weights teach best?`."""
    return f"stage {list(STAGES).index(stage) + 1} of {len(STAGES)}: {STAGES[stage]}"


def standing_text(standing: Standing, seconds_left: float | None) -> str:
    """Runs and cost so far, the best proposal beside `outputs`, and the time left where it can be told."""
    parts = [
        f"{standing.n_done} of at most {standing.n_runs} runs",
        f"{standing.spent:.1f} of at most {standing.planned:.0f} full-run equivalents",
    ]
    if standing.best is not None:
        parts.append(f"best so far {standing.best.value:.4g} (trial {standing.best.number})")
    if standing.outputs is not None and standing.outputs.value is not None:
        parts.append(f"`outputs` {standing.outputs.value:.4g}")
    if seconds_left is not None:
        parts.append(f"at most {duration(seconds_left)} left")
    return ", ".join(parts)
