"""What a target can express, held against what a recipe really uses: the difference is lost, and said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from mapsearch.core.layers import Kind
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.recipe import AggregationName, BalanceName, FeatureLossName, LogitLossName, ProjectorName, Recipe
from mapsearch.exports.source import ExportSource, multipliers

TargetName = Literal[
    "mapsearch",
    "torch",
    "torchdistill",
    "modelopt",
    "megatron",
    "distillkit",
]


@dataclass(frozen=True)
class Capability:
    """What a target can express.

    `many_to_one`: whether a layer may stand in several pairs, of itself or by aliases of the layer ("taps").
    `weights`: "exact" gives each term its multiplier; "normalised" has one for all terms, and takes their mean;
    "dropped" sets the size of the feature part itself. `projector`: "shared" is one for all terms, "none"
    means that there are no projectors, "untrained" that the optimizer never sees them. `temperature`,
    `anneal`, `task_weight`: whether they may differ from 1, None and 1. `masks`: whether padding is left out.
    `names`: whether layers go by their path, or by their index among the hidden states.
    """

    losses: frozenset[FeatureLossName]
    logit_losses: frozenset[LogitLossName]
    projectors: frozenset[ProjectorName]
    aggregations: frozenset[AggregationName]
    balances: frozenset[BalanceName]
    many_to_one: Literal["native", "taps", "no"]
    weights: Literal["exact", "normalised", "dropped"]
    projector: Literal["per pair", "shared", "none", "untrained"]
    temperature: bool
    anneal: bool
    task_weight: bool
    masks: bool
    names: Literal["path", "index"]
    kinds: frozenset[Kind]


EVERYTHING = Capability(
    losses=frozenset(get_args(FeatureLossName)),
    logit_losses=frozenset(get_args(LogitLossName)),
    projectors=frozenset(get_args(ProjectorName)),
    aggregations=frozenset(get_args(AggregationName)),
    balances=frozenset(get_args(BalanceName)),
    many_to_one="native",
    weights="exact",
    projector="per pair",
    temperature=True,
    anneal=True,
    task_weight=True,
    masks=True,
    names="path",
    kinds=frozenset(get_args(Kind)),
)


@dataclass(frozen=True)
class Lost:
    """One thing of a recipe that a target cannot express.

    `sentence` says what the recipe has and what the target makes of it. `fatal`: the file would not run, or
    would be another method; it is refused even where losing is allowed.
    """

    sentence: str
    fatal: bool = False


def lost(source: ExportSource, capability: Capability) -> tuple[Lost, ...]:
    """What of this recipe the target cannot express; what the recipe does not use is not compared."""
    found = [*_lost_beside_features(source.recipe, capability)]
    if source.recipe.mapping.pairs:
        found += [*_lost_features(source, capability), *_lost_projectors(source, capability)]
    return tuple(found)


def expressed(source: ExportSource, capability: Capability, losses: Sequence[Lost]) -> ExportSource:
    """The trial as the target can express it, what is lost noted in it; the same where nothing is.

    Terms of one multiplier for all get the mean of theirs. A feature part whose size the target sets itself is
    the mean of the raw losses times the share.
    """
    recipe, scales = source.recipe, source.scales
    if not capability.logit_losses:
        recipe = replace(recipe, logit_weight=0.0)
    if not capability.temperature:
        recipe = replace(recipe, temperature=1.0)
    if not capability.anneal and recipe.mapping.pairs:
        recipe = replace(recipe, anneal=None)
    if not capability.task_weight and recipe.feature_share < 1:
        recipe = replace(recipe, task_weight=1 / (1 - recipe.feature_share))
    if recipe.balance not in capability.balances:
        recipe = replace(recipe, balance="frozen")
    if capability.weights != "exact" and recipe.mapping.pairs:
        factors = multipliers(recipe, scales)
        factor = (sum(factors) if capability.weights == "normalised" else recipe.feature_share) / len(factors)
        scales = tuple(recipe.feature_share * term.weight / factor for term in recipe.feature_terms)
    return replace(source, recipe=recipe, scales=scales, lost=tuple(one.sentence for one in losses))


def _lost_beside_features(recipe: Recipe, capability: Capability) -> Iterator[Lost]:
    if recipe.uses_logits:
        if not capability.logit_losses:
            yield Lost(f"the logits are matched with weight {recipe.logit_weight:g}, and the target leaves them out")
        elif recipe.logit_loss not in capability.logit_losses:
            yield _no_formula("logit loss", recipe.logit_loss, capability.logit_losses)
        if not capability.temperature and recipe.temperature != 1 and recipe.logit_loss != "mse":
            yield Lost(f"the temperature is {recipe.temperature:g}, and the target knows 1 only")
    task = (1 - recipe.feature_share) * recipe.task_weight
    if not capability.task_weight and task != 1:
        yield Lost(f"the task's loss has the multiplier {task:g}, and the target sets its weight itself")
    if recipe.balance not in capability.balances:
        yield Lost(
            f"`balance: {recipe.balance}` steers the terms while it trains, and in the target they keep the "
            "weights they start with"
        )


def _lost_features(source: ExportSource, capability: Capability) -> Iterator[Lost]:
    recipe = source.recipe
    if recipe.loss not in capability.losses:
        yield _no_formula("feature loss", recipe.loss, capability.losses)
    if recipe.aggregation not in capability.aggregations:
        yield _no_formula("aggregation", recipe.aggregation, capability.aggregations)
    repeated = _repeated(recipe)
    if repeated and capability.many_to_one == "no":
        yield Lost(f"layer `{repeated[0]}` stands in several pairs, and the target takes a layer once", fatal=True)
    yield from _lost_weights(source, capability)
    if not capability.anneal and recipe.anneal is not None:
        yield Lost(f"the feature part fades until {recipe.anneal:g} of the training, and the target never fades it")
    layers = (*source.student, *source.teacher)
    if not capability.masks and any(layer.kind == "tokens" for layer in layers):
        yield Lost("padding among tokens is left out, and the target counts it like tokens")
    for layer in layers:
        if layer.kind is not None and layer.kind not in capability.kinds:
            known = ", ".join(sorted(capability.kinds))
            yield Lost(f"layer `{layer.path}` is a {layer.kind}, and the target knows {known} only", fatal=True)


def _lost_weights(source: ExportSource, capability: Capability) -> Iterator[Lost]:
    factors = multipliers(source.recipe, source.scales)
    said = ", ".join(f"{factor:.4g}" for factor in factors)
    if capability.weights == "dropped":
        yield Lost(f"the feature terms have the multipliers {said}, and the target sets their size itself")
    elif capability.weights == "normalised" and max(factors) > min(factors) * (1 + 1e-9):
        mean = sum(factors) / len(factors)
        yield Lost(f"the feature terms have the multipliers {said}, and the target gives all of them {mean:.4g}")


def _lost_projectors(source: ExportSource, capability: Capability) -> Iterator[Lost]:
    recipe = source.recipe
    if not LOSS_TRAITS[recipe.loss].projected or recipe.projector == "none":
        return
    widths = _widths(source)
    if capability.projector == "none":
        wide = [name for name, (s, t) in widths.items() if s != t]
        why = f"and `{wide[0]}` cannot be matched without" if wide else "and the target matches without"
        yield Lost(f"the projectors are `{recipe.projector}`, {why}", fatal=bool(wide))
    elif recipe.projector not in capability.projectors:
        yield _no_formula("projector", recipe.projector, capability.projectors)
    if capability.projector == "untrained":
        yield Lost("the projectors learn, and in the target they stay as they start")
    if capability.projector == "shared" and len(widths) > 1:
        unlike = len(set(widths.values())) > 1
        why = "one for all pairs cannot have their several widths" if unlike else "the target has one for all"
        yield Lost(f"each of the {len(widths)} terms has a projector, and {why}", fatal=unlike)


def _widths(source: ExportSource) -> dict[str, tuple[int, int]]:
    """What a projector of each term leads from and to."""
    s_layers, t_layers = ({x.path: x.width for x in layers} for layers in (source.student, source.teacher))
    terms = source.recipe.feature_terms
    return {term.name: (s_layers[term.student], t_layers[term.teachers[0]]) for term in terms}


def _repeated(recipe: Recipe) -> list[str]:
    """Layers that stand in several pairs."""
    pairs = recipe.mapping.pairs
    sides = ([pair.student for pair in pairs], [pair.teacher for pair in pairs])
    return [path for side in sides for path in dict.fromkeys(side) if side.count(path) > 1]


def _no_formula(what: str, name: str, known: frozenset[str]) -> Lost:
    return Lost(f"the {what} is `{name}`, and the target has {', '.join(sorted(known)) or 'none'} only", fatal=True)
