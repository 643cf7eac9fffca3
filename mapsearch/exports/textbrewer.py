"""Target `textbrewer`: its JSON config, and beside it the adaptors, losses and projections that the JSON names."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mapsearch.core.recipe import AggregationName, BalanceName
from mapsearch.exports.capability import EVERYTHING, Lost
from mapsearch.exports.source import ExportSource, multipliers
from mapsearch.exports.target import Target
from mapsearch.exports.textbrewer_adaptor import (
    KD_LOSSES,
    MATCH_LOSSES,
    adaptor_path,
    entries,
    indexed,
    is_native,
    is_projected,
    own_name,
    positions,
    render_adaptor,
)
from mapsearch.exports.textbrewer_run import load

CAPABILITY = replace(
    EVERYTHING,
    losses=EVERYTHING.losses - {"vid"},  # a match learns nothing but a projection of the student's feature
    aggregations=frozenset[AggregationName]({"sum"}),
    balances=frozenset[BalanceName]({"frozen"}),
    names="index",
)


def files(source: ExportSource, path: Path, schema: str) -> dict[Path, str]:
    """The config, and the module of its adaptors."""
    adaptor = adaptor_path(path)
    return {
        path: json.dumps(_config(source), indent=2) + "\n",
        adaptor: render_adaptor(source, path.name, adaptor.stem),
    }


def lost(source: ExportSource) -> tuple[Lost, ...]:
    """An MLP between grids of different size: TextBrewer projects before two features meet, we after."""
    if source.recipe.projector != "mlp" or not is_projected(source.recipe):
        return ()
    unlike = [
        f"`{s[0]}` and `{t[0]}`"
        for s, t in entries(source)
        if positions(source.student, s) != positions(source.teacher, t)
    ]
    sentence = "{} differ in size, and the target projects before it averages, which an `mlp` does not bear"
    return tuple(Lost(sentence.format(pair), fatal=True) for pair in unlike)


def _config(source: ExportSource) -> dict[str, Any]:
    """The fields of a `DistillationConfig`."""
    recipe = source.recipe
    name = KD_LOSSES.get(recipe.logit_loss) or own_name(recipe.logit_loss)
    squared = recipe.temperature**2 if recipe.logit_loss in KD_LOSSES else 1.0
    return {
        "temperature": recipe.temperature,
        "kd_loss_type": name,
        "kd_loss_weight": (1 - recipe.feature_share) * recipe.logit_weight * squared,
        "hard_label_weight": (1 - recipe.feature_share) * recipe.task_weight,
        "intermediate_matches": list(_matches(source)),
    }


def _matches(source: ExportSource) -> Iterator[dict[str, Any]]:
    recipe = source.recipe
    student, teacher = (list(layers) for layers in indexed(source))
    s_widths, t_widths = ({x.path: x.width for x in layers} for layers in (source.student, source.teacher))
    for (s, t), factor in zip(entries(source), multipliers(recipe, source.scales), strict=True):
        match = {
            "layer_T": teacher.index(t),
            "layer_S": student.index(s),
            "feature": "hidden",
            "loss": MATCH_LOSSES[recipe.loss] if is_native(source, s, t) else own_name(recipe.loss),
            "weight": factor,
        }
        if is_projected(recipe):
            name = "linear" if recipe.projector == "linear" else own_name(recipe.projector)
            match["proj"] = [name, s_widths[s[0]], t_widths[t[0]]]
        yield match


TARGET = Target(
    "JSON for TextBrewer's GeneralDistiller, with a Python module of its adaptors beside it",
    CAPABILITY,
    files,
    load,
    lost,
    requires=("textbrewer",),
    install="pip install textbrewer",
    header=adaptor_path,  # JSON has no comments, and TextBrewer refuses keys that it does not know
)
