"""The reference of the Python API: which names, in which order; mkdocstrings reads the rest from the docstrings."""

INTRODUCTION = """# Python

What `import mapsearch` gives. Names are imported when they are first used.
"""
GROUPS = {
    "Studies": (
        "load_study",
        "run_study",
        "confirm",
        "port",
        "show",
        "importances",
        "open_logger",
        "StudySpec",
        "RayCluster",
    ),
    "Your task": ("Task",),
    "What a study finds": ("Verdict", "Recipe", "LayerMapping"),
    "Similarity": ("compare", "Similarity", "compare_similarities", "read_similarity", "plot_similarity"),
    "Students and exports": ("train", "evaluate", "export", "verify_export"),
    "Pieces without a study": ("list_layers", "RecipeLoss"),
    "A service elsewhere": ("Client",),
    "Errors": ("MapsearchError",),
}


def page() -> str:
    """A heading for each group, and a reference of each of its names."""
    parts = [INTRODUCTION]
    for title, names in GROUPS.items():
        parts += [f"## {title}\n", *(f"::: mapsearch.{name}\n" for name in names)]
    return "\n".join(parts)
