"""Target `mapsearch`: the recipe with its frozen scales and all settings of its training, as canonical YAML."""

from pathlib import Path

from mapsearch.exports.render.text_layout import comments, dumped_yaml
from mapsearch.exports.source import ExportSource, multipliers


def text(source: ExportSource, folder: Path) -> str:
    """The YAML text; `recipe_file.read` gives the same recipe and scales back, to the last bit.

    `scales` and `multipliers` are per feature term: per pair in the order of `recipe.pairs`, or per student
    layer where teacher features are mixed, then each divided by its norm. A multiplier is
    `feature_share * weight / scale`, which other trainers can take as it is. Where they are mixed there are norms,
    where their weights were learned those as well, per pair.

    Args:
        folder: where the file will lie; the task's file is named from there.
    """
    layers = {"student": source.student, "teacher": source.teacher}
    data = {
        "study": source.study,
        "trial": source.trial,
        "seed": source.seed,
        "n_steps": source.n_steps,
        "first_loss": source.first_loss,
        "verdict": source.verdict,
        "values": list(source.values),
        "versions": {"mapsearch": source.mapsearch_version, "torch": source.torch_version},
        **source.settings.seen_from(folder).to_json(),
        "outputs": source.outputs.to_json(),
        "layers": {network: [layer.to_json() for layer in found] for network, found in layers.items()},
        "recipe": source.recipe.to_json(),
        "scales": list(source.scales),
        "multipliers": list(multipliers(source.recipe, source.scales)),
    }
    data |= {key: list(values) for key in ("norms", "mixed_weights") if (values := getattr(source, key))}
    return comments(source.provenance) + dumped_yaml(data)
