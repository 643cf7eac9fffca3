"""Target `mapsearch`: the recipe with its frozen scales as canonical YAML."""

from mapsearch.exports.capability import EVERYTHING
from mapsearch.exports.render.text_layout import comments, dumped_yaml
from mapsearch.exports.source import ExportSource, multipliers
from mapsearch.exports.target import Target, one_file

KEYS = ("study", "trial", "seed", "n_steps", "first_loss", "recipe", "scales", "multipliers")
MIXED_KEYS = ("norms", "mixed_weights")
"""Per pair: there are norms where teacher features are mixed, and mixed weights where they were learned."""


def text(source: ExportSource) -> str:
    """The YAML text; `recipe_file.read` gives the same recipe and scales back, to the last bit.

    `scales` and `multipliers` are per feature term: per pair in the order of `recipe.pairs`, or per student
    layer where teacher features are mixed, then each divided by its norm. A multiplier is
    `feature_share * weight / scale`, which other trainers can take as it is.
    """
    data = {
        "study": source.study,
        "trial": source.trial,
        "seed": source.seed,
        "n_steps": source.n_steps,
        "first_loss": source.first_loss,
        "recipe": source.recipe.to_json(),
        "scales": list(source.scales),
        "multipliers": list(multipliers(source.recipe, source.scales)),
    }
    data |= {key: list(values) for key in MIXED_KEYS if (values := getattr(source, key))}
    return comments(source.provenance) + dumped_yaml(data)


TARGET = Target("canonical YAML: the recipe with its frozen scales", EVERYTHING, one_file(text))
