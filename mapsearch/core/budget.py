"""What a study may take, in full-run equivalents: its optimizer steps over those of one full training."""

from typing import Literal

Preset = Literal["quick", "standard", "thorough"]
Effort = dict[str, dict[str, int]]

PRESETS: dict[Preset, int] = {"quick": 25, "standard": 60, "thorough": 150}

TRIALS_PER_FULL_RUN = 2 / 3
"""Proposals for each full run of the budget; the rest goes to tuning, the shortlist and, most of it, fresh seeds."""

SMALL, LARGE = 40, 120
"""Below, everything before the fresh seeds is done once; from there on, more of them are looked at."""


def full_runs(budget: int | Preset) -> int:
    """The budget in full-run equivalents."""
    return budget if isinstance(budget, int) else PRESETS[budget]


def is_small(budget: int | Preset) -> bool:
    """Whether the budget does not pay for tuning on two seeds and a race at the full schedule."""
    return full_runs(budget) < SMALL


def effort(budget: int | Preset) -> Effort:
    """Keys of a study file that the budget decides where the file does not, by section; all of them may grow."""
    n = full_runs(budget)
    confirm: dict[str, int] = {}
    if n < SMALL:
        confirm["finalists"] = 1
    if n >= LARGE:
        confirm |= {"seeds": 23, "context_seeds": 3}
    return {"search": {"trials": max(8, round(TRIALS_PER_FULL_RUN * n))}, "confirm": confirm}
