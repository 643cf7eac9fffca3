"""What a target can express, compared with what a recipe uses; the difference is listed as unsupported."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from mapsearch.core.addresses import is_address
from mapsearch.core.layers import Kind
from mapsearch.core.losses import LOSS_TRAITS
from mapsearch.core.recipe import AggregationName, BalanceName, FeatureLossName, OutputLossName, ProjectorName, Recipe
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

    `many_to_one`: whether a layer may be in several pairs, directly or through aliases of the layer ("taps").
    `weights`: "exact" gives each term its own multiplier; "normalised" has one for all terms, their mean;
    "dropped" means that the target sets the size of the feature loss itself. `projector`: one "per pair", one
    "shared" by all, "none", or "untrained", which the optimizer never sees. `temperature`, `anneal`, `task_weight`:
    whether they may differ from 1, None and 1. `masks`: whether padded tokens are left out. `names`: whether layers
    are named by their path, or by their index among the hidden states. `outputs`: whether the file is given what
    the output loss takes, or finds a network's logits itself. `addresses`: whether a layer may be one call of a module
    or one entry of its output.
    """

    losses: frozenset[FeatureLossName]
    output_losses: frozenset[OutputLossName]
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
    outputs: Literal["given", "logits"] = "given"
    addresses: bool = False


EVERYTHING = Capability(
    losses=frozenset(get_args(FeatureLossName)),
    output_losses=frozenset(get_args(OutputLossName)),
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
    addresses=True,
)


@dataclass(frozen=True)
class Unsupported:
    """One thing that a recipe has and a target cannot express.

    `sentence` says what the recipe has and what the target does instead. `fatal`: the file would not run, or would
    be another method; it is refused even with `--lossy`.
    """

    sentence: str
    fatal: bool = False


def unsupported(source: ExportSource, capability: Capability) -> tuple[Unsupported, ...]:
    """What the target cannot express of this recipe; only what the recipe uses is compared."""
    missing = [*_unsupported_beside_features(source.recipe, capability), *_unsupported_outputs(source, capability)]
    if source.recipe.mapping.pairs:
        missing += [*_unsupported_features(source, capability), *_unsupported_projectors(source, capability)]
    return tuple(missing)


def restricted_to(source: ExportSource, capability: Capability, left_out: Sequence[Unsupported] = ()) -> ExportSource:
    """The trial as the target can express it, with a note of what is left out; unchanged if nothing is.

    Terms that share one multiplier get the mean of theirs. A feature loss whose size the target sets itself is
    the mean of the raw losses times the feature share.
    """
    recipe, scales = source.recipe, source.scales
    if not capability.output_losses:
        recipe = replace(recipe, output_weight=0.0)
    if not capability.temperature:
        recipe = replace(recipe, temperature=1.0)
    if not capability.task_weight and recipe.feature_share < 1:
        recipe = replace(recipe, task_weight=1 / (1 - recipe.feature_share))
    if recipe.balance not in capability.balances:
        recipe = replace(recipe, balance="frozen")
    if recipe.mapping.pairs:
        if not capability.anneal:
            recipe = replace(recipe, anneal=None, features_until=1.0)
        if capability.weights != "exact":
            factors = multipliers(recipe, scales)
            factor = (sum(factors) if capability.weights == "normalised" else recipe.feature_share) / len(factors)
            scales = tuple(recipe.feature_share * term.weight / factor for term in recipe.feature_terms)
    return replace(source, recipe=recipe, scales=scales, unsupported=tuple(one.sentence for one in left_out))


def _unsupported_beside_features(recipe: Recipe, capability: Capability) -> Iterator[Unsupported]:
    if recipe.uses_outputs:
        if not capability.output_losses:
            yield Unsupported(f"the outputs are matched with weight {recipe.output_weight:g}, but not in the target")
        elif recipe.output_loss not in capability.output_losses:
            yield _no_formula("output loss", recipe.output_loss, capability.output_losses)
        if not capability.temperature and recipe.temperature != 1 and recipe.output_loss != "mse":
            yield Unsupported(f"the temperature is {recipe.temperature:g}, but the target always uses 1")
    task = (1 - recipe.feature_share) * recipe.task_weight
    if not capability.task_weight and task != 1:
        yield Unsupported(f"the task's loss has the multiplier {task:g}, but the target sets it itself")
    if recipe.balance not in capability.balances:
        yield Unsupported(
            f"`balance: {recipe.balance}` changes the weights of the terms during training, but in the target they "
            "keep their initial values"
        )


def _unsupported_outputs(source: ExportSource, capability: Capability) -> Iterator[Unsupported]:
    form = source.outputs.form
    if source.recipe.uses_outputs and form not in ("", "labels") and capability.outputs == "logits":
        yield Unsupported(
            f"outputs are not matched as the network gives them ({form}), but the target does", fatal=True
        )


def _unsupported_features(source: ExportSource, capability: Capability) -> Iterator[Unsupported]:
    recipe = source.recipe
    if recipe.loss not in capability.losses:
        yield _no_formula("feature loss", recipe.loss, capability.losses)
    if recipe.aggregation not in capability.aggregations:
        yield _no_formula("aggregation", recipe.aggregation, capability.aggregations)
    repeated = _repeated(recipe)
    if repeated and capability.many_to_one == "no":
        yield Unsupported(f"layer `{repeated[0]}` is in several pairs, but the target takes a layer once", fatal=True)
    yield from _unsupported_weights(source, capability)
    if not capability.anneal and recipe.anneal is not None:
        yield Unsupported(f"the feature loss fades to zero at {recipe.anneal:g} of the training, but not in the target")
    if not capability.anneal and recipe.features_until < 1:
        until = f"features teach up to {recipe.features_until:g} of the training"
        yield Unsupported(f"{until}, but in the target to its end")
    layers = (*source.student, *source.teacher)
    if not capability.addresses:
        for path in dict.fromkeys((*recipe.mapping.student_layers, *recipe.mapping.teacher_layers)):
            if is_address(path):
                part = "one call of a module or one entry of its output, but the target takes whole modules only"
                yield Unsupported(f"layer `{path}` is {part}", fatal=True)
    if not capability.masks and any(layer.kind == "tokens" for layer in layers):
        yield Unsupported("padded tokens are masked, but the target treats them like any other token")
    for layer in layers:
        if layer.kind is not None and layer.kind not in capability.kinds:
            known = ", ".join(sorted(capability.kinds))
            yield Unsupported(f"layer `{layer.path}` is a {layer.kind}, but the target supports {known} only", True)


def _unsupported_weights(source: ExportSource, capability: Capability) -> Iterator[Unsupported]:
    factors = multipliers(source.recipe, source.scales)
    multiplied = f"the feature terms have the multipliers {', '.join(f'{factor:.4g}' for factor in factors)}"
    if capability.weights == "dropped":
        yield Unsupported(f"{multiplied}, but the target sets the size of the feature loss itself")
    elif capability.weights == "normalised" and max(factors) > min(factors) * (1 + 1e-9):
        yield Unsupported(f"{multiplied}, but the target has one for all: {sum(factors) / len(factors):.4g}")


def _unsupported_projectors(source: ExportSource, capability: Capability) -> Iterator[Unsupported]:
    recipe = source.recipe
    if not LOSS_TRAITS[recipe.loss].projected or recipe.projector == "none":
        return
    widths = _widths(source)
    if capability.projector == "none":
        wide = [name for name, (s, t) in widths.items() if s != t]
        why = f"and `{wide[0]}` cannot be matched without one" if wide else "but the target has none"
        yield Unsupported(f"the projectors are `{recipe.projector}`, {why}", fatal=bool(wide))
    elif recipe.projector not in capability.projectors:
        yield _no_formula("projector", recipe.projector, capability.projectors)
    if capability.projector == "untrained":
        yield Unsupported("the projectors learn, but in the target they keep their initial weights")
    if capability.projector == "shared" and len(widths) > 1:
        unlike = len(set(widths.values())) > 1
        why = "whose pairs differ in width" if unlike else "used by all pairs"
        yield Unsupported(f"each of the {len(widths)} terms has a projector, but the target has one, {why}", unlike)


def _widths(source: ExportSource) -> dict[str, tuple[int, int]]:
    """Student and teacher width of each term, which its projector maps between."""
    s_layers, t_layers = ({x.path: x.width for x in layers} for layers in (source.student, source.teacher))
    terms = source.recipe.feature_terms
    return {term.name: (s_layers[term.student], t_layers[term.teachers[0]]) for term in terms}


def _repeated(recipe: Recipe) -> list[str]:
    """Layers that are part of several pairs."""
    pairs = recipe.mapping.pairs
    sides = ([pair.student for pair in pairs], [pair.teacher for pair in pairs])
    return [path for side in sides for path in dict.fromkeys(side) if side.count(path) > 1]


def _no_formula(what: str, name: str, known: frozenset[str]) -> Unsupported:
    return Unsupported(
        f"the {what} is `{name}`, but the target supports {', '.join(sorted(known)) or 'none'} only", fatal=True
    )
