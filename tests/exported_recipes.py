"""Recipes that a target which can say everything must carry, and edits of a file that verification must catch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mapsearch.losses.recipe_loss import FEATURE_LOSSES, OUTPUT_LOSSES

EVERYTHING: list[dict[str, Any]] = [
    *({"task": "tags", "loss": loss} for loss in FEATURE_LOSSES),
    *({"task": "images", "output_loss": logit} for logit in OUTPUT_LOSSES),
    {"task": "images", "projector": "mlp", "loss": "vid"},
    {"task": "images", "aggregation": "fuse", "loss": "cosine", "anneal": None},
    *({"task": task, "aggregation": "mix"} for task in ("images", "tags")),
    {"task": "images", "features_until": 0.4},
    {"task": "patches"},
    {"task": "twice"},
    {"task": "tags", "pairs": False},
    {"task": "tags", "feature_share": 1.0},
    {"task": "bert"},
    {"task": "llama", "loss": "cosine", "aggregation": "fuse"},
]
"""Keyword arguments of the fixture `distilled`."""


def named(recipe: dict[str, Any]) -> str:
    """The recipe as a test's name."""
    return "-".join(str(value) for value in recipe.values())


def replaced(old: str, new: str) -> Callable[[Path], None]:
    """An edit that puts `new` where a file says `old`."""

    def edit(path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return edit
