"""Checks of the layers that take part: found, used safely, and able to be matched."""

from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any, Literal

import torch
from torch import nn

from mapsearch.check.capture import Forward, check_carries_gradient, check_compiled
from mapsearch.check.finding_log import FindingLog
from mapsearch.check.study_layers import study_layers
from mapsearch.check.training_passes import check_training_passes
from mapsearch.core.layers import Layer
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.outputs import Outputs
from mapsearch.core.recipe import FeatureLossName, ProjectorName, Recipe
from mapsearch.core.space import RecipeSpace, pair_problem
from mapsearch.core.spec import StudySpec
from mapsearch.features.layers import choose_layers
from mapsearch.features.taps import FeatureTaps
from mapsearch.features.trunk import find_trunk
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.precision import forward_in


@dataclass(frozen=True)
class LayersFound:
    """The layers of one network: all, those that take part, and the paths of those that are overwritten in place."""

    listed: tuple[Layer, ...]
    chosen: tuple[Layer, ...]
    overwritten: tuple[str, ...]


def check_layers(
    log: FindingLog,
    loaded: LoadedTask,
    spec: StudySpec,
    network: Literal["student", "teacher"],
    model: nn.Module,
    batch: Any,
) -> LayersFound | None:
    """List and choose the layers; None when they cannot be found."""
    found = None
    with log.guard("layers", f"`forward` of the {network}"):
        forward = partial(forward_in(spec.train.precision, loaded), batch=batch)
        listed = study_layers(loaded, spec.train.precision, model, batch, spec.layers.kinds)
        wanted = getattr(spec.layers, network)
        chosen = choose_layers(network, model, listed, wanted)
        if wanted == "auto" and (note := find_trunk(network, model, listed).note):
            log.add("warning", "layers.other_than_blocks", f"{network}: {note}")
        names = ", ".join(f"`{layer.path}` {layer.kind} {list(layer.shape)}" for layer in chosen)
        log.add("ok", "layers.chosen", f"{network}: {len(chosen)} of {len(listed)} take part: {names}")
        paths = [layer.path for layer in chosen]
        overwritten = _overwritten(log, network, model, paths, forward)
        check_compiled(log, network, model, paths, forward)
        if network == "student":
            check_training_passes(log, model, paths, forward, spec.seed)
            if not log.has_errors("layers"):
                check_carries_gradient(log, model, paths, forward)
        found = LayersFound(listed, chosen, overwritten)
    return found


def _overwritten(
    log: FindingLog, network: str, model: nn.Module, paths: list[str], forward: Forward
) -> tuple[str, ...]:
    with torch.no_grad(), FeatureTaps(model, paths) as taps:
        forward(model)
        overwritten = taps.overwritten()
    if overwritten:
        names = ", ".join(f"`{path}`" for path in overwritten)
        how = "overwritten in place by a later layer: captured as copies"
        log.add("ok", "layers.overwritten", f"{network}: {names} {how}")
    return overwritten


def check_pairs(log: FindingLog, spec: StudySpec, space: RecipeSpace, outputs: Outputs) -> list[Recipe]:
    """For each loss and projector of the study that some pair allows, a recipe that uses one pair per student layer."""
    without_features, recipes = _without_features(spec, outputs), []
    for loss, projector in product(spec.space.loss, spec.space.projector):
        legal, traits = space.legal(loss, projector), LOSS_TRAITS[loss]
        if not traits.projected and projector != spec.space.projector[0]:
            continue  # without a projector all are the same
        if spec.train.batch_size < traits.min_samples:
            needed = f"batches of at least {traits.min_samples} samples for its relations"
            given = f"`train.batch_size: {spec.train.batch_size}`"
            log.add("error", "pairs.small_batches", f"{loss} needs {needed}, but got {given}")
            continue
        if not any(map(any, legal)):
            why = pair_problem(space.student[0], space.teacher[0], loss, projector)
            log.add("error", "pairs.none", f"{loss} with projector {projector}: no pair can be matched: {why}")
            continue
        idle = [layer.path for layer, row in zip(space.student, legal, strict=True) if not any(row)]
        if idle:
            names = ", ".join(f"`{path}`" for path in idle)
            log.add("warning", "pairs.idle_layer", f"{loss} with projector {projector}: no teacher layer suits {names}")
        log.add("ok", "pairs.possible", _summary(space, legal, loss, projector))
        mapping = _spaced(space, legal)
        recipes.append(replace(without_features, mapping=mapping, loss=loss, projector=projector, feature_share=0.5))
    return recipes


def _without_features(spec: StudySpec, outputs: Outputs) -> Recipe:
    """The first recipe that the study tunes."""
    space, alone = spec.space, Recipe(task_weight=float(outputs.has_loss), share_of=spec.space.share_of)
    losses = space.output_loss or outputs.losses
    if not losses:
        return alone
    return replace(alone, output_loss=losses[0], output_weight=space.output_weight[0], temperature=space.temperature[0])


def check_mixtures(log: FindingLog, spec: StudySpec, space: RecipeSpace) -> None:
    """Report which teacher layers a row can mix, if the study mixes any."""
    wanted = ", ".join(name for name in spec.space.aggregation if name != "sum")
    if not wanted:
        return
    groups = dict.fromkeys(
        tuple(path for path, fits in zip(space.teacher_layers, row, strict=True) if fits) for row in space.fusable()
    )
    if all(len(group) == 1 for group in groups):
        problem = "no two teacher layers share kind, width and tokens, so each row keeps one; `sum` would use more"
        log.add("warning", "pairs.no_mixture", f"{wanted}: {problem}")
    else:
        names = " | ".join(", ".join(f"`{path}`" for path in group) for group in groups)
        log.add("ok", "pairs.mixtures", f"{wanted}: a row mixes teacher layers of one group: {names}")


def _summary(space: RecipeSpace, legal: list[list[bool]], loss: FeatureLossName, projector: ProjectorName) -> str:
    every = product(enumerate(space.student), enumerate(space.teacher))
    pairs = [(student, teacher) for (s, student), (t, teacher) in every if legal[s][t]]
    traits = LOSS_TRAITS[loss]
    aligned = pairs if traits.aligned else []  # other losses compare layers of any two grids
    n_resampled = sum(s.kind == t.kind == "map" and s.positions != t.positions for s, t in aligned)
    n_laid_out = sum("tokens" in (s.kind, t.kind) and s.shape[:-1] != t.shape[:-1] for s, t in aligned)
    summary = f"{loss}: {len(pairs)} of {len(space.student) * len(space.teacher)} pairs can be matched"
    summary += f", {n_resampled} of maps resampled to the smaller grid" if n_resampled else ""
    summary += f", {n_laid_out} of patch tokens laid out as maps" if n_laid_out else ""
    if projector == "none" or not traits.projected:
        return f"{summary}, without a projector"
    n_wider = sum(s.width != t.width for s, t in pairs)
    hidden = [t.width if projector == "mlp" else 0 for _, t in pairs]
    sizes = sorted((s.width + 1) * t.width + h * (t.width + 1) for (s, t), h in zip(pairs, hidden, strict=True))
    kind = "an mlp" if projector == "mlp" else f"a {projector}"
    return f"{summary}, {n_wider} of different width; {kind} projector each, {sizes[0]:,} to {sizes[-1]:,} parameters"


def _spaced(space: RecipeSpace, legal: list[list[bool]]) -> LayerMapping:
    """Per student layer the legal teacher layer that lies nearest to even spacing."""
    S, T = len(space.student), len(space.teacher)
    pairs = []
    for s, row in enumerate(legal):
        near = sorted((abs(t + 1 - (s + 1) * T / S), t) for t in range(T) if row[t])
        pairs += [Pair(space.student[s].path, space.teacher[near[0][1]].path, 1.0)] if near else []
    return LayerMapping(tuple(pairs))
