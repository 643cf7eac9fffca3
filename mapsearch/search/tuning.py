"""What is tuned without features, before any mapping is tried: two rounds, and what comes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from mapsearch.core.budget import is_small
from mapsearch.core.outputs import USES_TEMPERATURE, Outputs
from mapsearch.core.recipe import Recipe, ShareOf
from mapsearch.core.runs import Run, RunPlan
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Trial
from mapsearch.search.plans import SEARCH, TUNE, plan, tune_seeds
from mapsearch.search.promotion import by_seed, gain

PLAIN = ("none", "outputs")
"""The controls without features."""

MOST_EXTENSIONS = 2
"""How often a control that is best at the last learning rate tried is tuned one further."""


def tune_recipes(spec: StudySpec, outputs: Outputs) -> list[Recipe]:
    """The first round: the task alone at every learning rate, and every output loss that is asked for or fits.

    Each output loss with every task weight, at every weight, and where it has one at every temperature. Without the
    task loss the weight is but a scale, and the first one does. A task without a loss of its own is never alone.
    A small budget tries the first output loss only.
    """
    losses, space = spec.space.output_loss or outputs.losses, spec.space
    losses = losses[:1] if is_small(spec.budget) and not spec.space.output_loss else losses
    task_weights = space.task_weight if outputs.has_loss else (0.0,)
    alone = [Recipe(lr_factor=lr) for lr in space.lr] if outputs.has_loss else []
    matched = [
        Recipe(
            task_weight=task_weight, output_loss=loss, output_weight=weight, temperature=temperature,
            lr_factor=_middle_rate(spec),
        )
        for task_weight in task_weights
        for loss in losses
        for weight in space.output_weight[: None if task_weight else 1]
        for temperature in (space.temperature if loss in USES_TEMPERATURE else (1.0,))
    ]  # fmt: skip
    return [*alone, *matched]


def missing_trials(recipes: Sequence[Recipe], trials: Sequence[Trial]) -> list[Trial]:
    """Trials of the tune stage for those of the recipes that the study does not have."""
    have = {t.recipe for t in trials}
    missing = [recipe for recipe in dict.fromkeys(recipes) if recipe not in have]
    return [Trial(number, "tune", recipe) for number, recipe in enumerate(missing, len(trials))]


def tune_plans(spec: StudySpec, trials: Sequence[Trial]) -> list[RunPlan]:
    """The runs of the first round: the task alone on all seeds, one short run of everything else.

    Where so little is to be tried that all of it goes on, there is no short run.
    """
    alone = [t for t in trials if not t.recipe.uses_outputs]
    matched = [t for t in trials if t.recipe.uses_outputs]
    seeds = tune_seeds(spec)
    if len(matched) <= n_tuned(spec):
        return plan(spec, [*alone, *matched], TUNE, seeds, "tune")
    return [*plan(spec, matched, SEARCH, seeds[:1], "tune"), *plan(spec, alone, TUNE, seeds, "tune")]


def n_tuned(spec: StudySpec) -> int:
    """How many recipes with outputs are tuned further, each at every learning rate."""
    return 1 if is_small(spec.budget) else 2


def tuned_further(spec: StudySpec, trials: Sequence[Trial]) -> list[Trial]:
    """The recipes of the first round that go on: the best with outputs."""
    found = [t for t in trials if t.recipe.uses_outputs and t.state == "complete"]
    return sorted(found, key=lambda t: (-gain(t, spec.direction), t.number))[: n_tuned(spec)]


def at_every_rate(spec: StudySpec, best: Sequence[Trial]) -> list[Recipe]:
    """The second round: the best recipes at every learning rate."""
    return [replace(t.recipe, lr_factor=lr) for t in best for lr in spec.space.lr]


def beyond_edges(spec: StudySpec, trials: Sequence[Trial], runs: Sequence[Run]) -> list[Recipe]:
    """The tuned recipes one learning rate beyond those tried, where the best rate is the largest or the smallest.

    A control that would do better at a rate that nobody tried is the cheapest false win there is.
    """
    factors, recipes = sorted(spec.space.lr), list[Recipe]()
    if len(factors) < 2:
        return []  # the study fixes the rate
    for recipe in tuned(trials, runs, spec.direction).values():
        tried = rates_tried(recipe, trials)
        if sum(not factors[0] <= rate <= factors[-1] for rate in tried) >= MOST_EXTENSIONS:
            continue
        if recipe.lr_factor == max(tried):
            recipes.append(replace(recipe, lr_factor=recipe.lr_factor * factors[-1] / factors[-2]))
        elif recipe.lr_factor == min(tried):
            recipes.append(replace(recipe, lr_factor=recipe.lr_factor * factors[0] / factors[1]))
    return recipes


def rates_tried(recipe: Recipe, trials: Sequence[Trial]) -> set[float]:
    """The learning rates at which the recipe was tuned."""
    return {t.recipe.lr_factor for t in trials if replace(t.recipe, lr_factor=recipe.lr_factor) == recipe}


def with_tuned_rates(space: SpaceSpec, trials: Sequence[Trial]) -> SpaceSpec:
    """The space whose learning rates include those of the tuned controls: features may have them too."""
    rates = {*space.lr, *(t.recipe.lr_factor for t in trials if t.proposer == "control" and t.control in PLAIN)}
    return space.model_copy(update={"lr": tuple(sorted(rates))})


def tuned(trials: Sequence[Trial], runs: Sequence[Run], direction: str) -> dict[str, Recipe]:
    """The best recipe without features by control: `none` and `outputs`, as far as the task has them.

    Features are searched on top of `outputs`, so that a better output loss is never taken for a better mapping.
    """
    if any(t.proposer == "control" for t in trials):  # frozen
        return {t.control: t.recipe for t in trials if t.control in PLAIN}
    found: dict[str, Recipe] = {}
    sign = 1.0 if direction == "maximize" else -1.0
    means = {number: sign * fmean(row.values()) for number, row in by_seed(runs, TUNE).items()}
    for name in PLAIN:
        own = [t for t in trials if t.proposer == "tune" and t.recipe.uses_outputs == (name == "outputs")]
        ranked = sorted(own, key=lambda t: (t.number not in means, -means.get(t.number, 0.0), t.number))
        found |= {name: ranked[0].recipe} if ranked else {}
    return found


def base_recipe(plain: Mapping[str, Recipe], share_of: ShareOf) -> Recipe:
    """What features are searched on top of; where neither task nor outputs teach, nothing."""
    return replace(plain.get("outputs") or plain.get("none") or Recipe(task_weight=0.0), share_of=share_of)


def edges(spec: StudySpec, plain: Mapping[str, Recipe], trials: Sequence[Trial]) -> list[str]:
    """What was tuned to the end of its range, and so may be better beyond."""
    space, found = spec.space, []
    for name, recipe in plain.items():
        tried = rates_tried(recipe, trials)
        if len(tried) > 1 and recipe.lr_factor in (min(tried), max(tried)):
            found.append(f"`{name}` is best at the last learning rate tried (x{recipe.lr_factor:g}): widen `space.lr`")
    weight = plain["outputs"].output_weight if "outputs" in plain and plain["outputs"].uses_task else None
    if weight is not None and weight == max(space.output_weight):
        found.append("the largest weight tried: widen `space.output_weight`")
    return found


def _middle_rate(spec: StudySpec) -> float:
    """The learning rate of the first round: that of the study file, if it may be chosen."""
    return 1.0 if 1.0 in spec.space.lr else sorted(spec.space.lr)[len(spec.space.lr) // 2]
