"""Templates: Python modules in `templates/` with `$fields`, and with sections that only some recipes have."""

import re
from pathlib import Path
from string import Template

from mapsearch.core.losses import OUTPUT_LOSS_FUNCTIONS
from mapsearch.exports.render.source_inlining import inlined
from mapsearch.exports.render.terms import term_rows
from mapsearch.exports.render.text_layout import docstring_line
from mapsearch.exports.source import ExportSource

_FOLDER = Path(__file__).with_name("templates")
_SECTION = re.compile(r"^ *# <(?P<name>\w+)>\n(?P<body>.*?)^ *# </(?P=name)>\n", re.MULTILINE | re.DOTALL)


def rendered(template: str, source: ExportSource, **fields: str) -> str:
    """The template of that name, filled for a recipe, with the source of what it imports from mapsearch.

    Lines between `# <features>` and `# </features>` stay where the recipe matches features, and those of `outputs`
    where it matches outputs.

    Args:
        fields: what the template needs beside `_recipe_fields`, as source text.
    """
    recipe = source.recipe
    present = {"features": bool(recipe.mapping.pairs), "outputs": recipe.uses_outputs}
    text = (_FOLDER / f"{template}.py.tmpl").read_text(encoding="utf-8")
    text = _SECTION.sub(lambda section: section["body"] if present[section["name"]] else "", text)
    return inlined(Template(text).substitute(_recipe_fields(source), **fields))


def _recipe_fields(source: ExportSource) -> dict[str, str]:
    """What templates say of a recipe."""
    recipe, rest = source.recipe, 1 - source.recipe.feature_share
    has_tokens = any(layer.kind == "tokens" for layer in (*source.student, *source.teacher))
    return {
        "provenance": "\n".join(docstring_line(line) for line in source.provenance),
        "task_multiplier": repr(rest * recipe.task_weight),
        "output_multiplier": repr(rest * recipe.output_weight),
        "temperature": repr(recipe.temperature),
        "anneal": repr(recipe.anneal),
        "features_until": repr(recipe.features_until),
        "terms": "".join(term_rows(source)),
        "term": "FeatureTerm" if recipe.aggregation == "sum" else "MixedTerm",
        "loss": recipe.loss,
        "output_loss": OUTPUT_LOSS_FUNCTIONS[recipe.output_loss],
        "mask": "mask=mask, " if has_tokens else "",
    }
