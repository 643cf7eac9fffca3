"""mapsearch: which teacher layers should teach which student layers, and whether it is worth it."""

import importlib
from typing import Any

__version__ = "0.1.0"

# name -> module; imported on first use, so that `mapsearch --help` never waits for torch. `__init__.pyi` has the types.
_DEFINED_IN = {
    "Client": "client",
    "LayerMapping": "core.mapping",
    "MapsearchError": "core.errors",
    "RayCluster": "core.cluster",
    "Recipe": "core.recipe",
    "RecipeLoss": "losses.recipe_loss",
    "Similarity": "core.similarity",
    "StudySpec": "core.spec",
    "Task": "tasks.task",
    "Verdict": "core.verdict",
    "compare": "similarity.measure",
    "compare_similarities": "similarity.comparison",
    "confirm": "api.confirmation",
    "evaluate": "api.evaluation",
    "export": "api.exports",
    "importances": "api.importances",
    "list_layers": "features.layers",
    "load_study": "core.study_file",
    "open_logger": "loggers.table",
    "plot_similarity": "report.pictures",
    "port": "api.porting",
    "read_similarity": "similarity.file",
    "run_study": "controller.run",
    "show": "api.queries",
    "train": "api.training",
    "verify_export": "api.exports",
}

__all__ = [  # one list to keep: the table above
    *_DEFINED_IN
]


def __getattr__(name: str) -> Any:
    if name not in _DEFINED_IN:
        raise AttributeError(f"module 'mapsearch' has no attribute {name!r}")
    return getattr(importlib.import_module(f"mapsearch.{_DEFINED_IN[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_DEFINED_IN])
