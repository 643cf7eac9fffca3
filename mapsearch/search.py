"""STEP: what is known so far -> what to run next. Pure functions: stages, promotion, stopping."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from mapsearch.core.forecast import StageForecast
from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import OutputLossName, Recipe
from mapsearch.core.runs import FINISHED, INFEASIBLE, Cohort, Run, RunKey, RunPlan, Split, Stage
from mapsearch.core.similarity import Similarity
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.core.trials import Proposer, Trial, TrialState
from mapsearch.proposers.controls import MAPPING_CONTROLS, article, mapping_controls, plain_controls

SEARCH, TUNE, FULL = 0, 1, 2
"""The rungs: indices into `search.rungs`. The shortlist runs at the tune rung."""

PLAIN = ("none", "outputs", "outputs_strong")
PROPOSALS: tuple[Proposer, ...] = ("curve", "free")
NOISE = ("uniform", "last", "first", "reverse", "random")
"""The mapping controls whose spread is held against seed noise."""

CONTROL_SHARE = 0.5
"""Feature share of hand-made mappings during the search; the verdict gives them the nominee's settings."""

CONFIRM_SEED_OFFSET = 1000
"""Confirm seeds begin this far above the study's seed, where no earlier run has been."""


def tune_seeds(spec: StudySpec) -> list[int]:
    """Seeds of the tune and shortlist stages."""
    return [spec.seed, spec.seed + 1]


def search_seeds(spec: StudySpec) -> list[int]:
    """Seeds of each proposal and control at the first rung."""
    return [spec.seed + i for i in range(spec.search.seeds)]


def noise_seeds(spec: StudySpec) -> list[int]:
    """Seeds of the noise stage; the first are those of the search, so that its runs are shared."""
    return [spec.seed + i for i in range(max(spec.search.noise_seeds, spec.search.seeds))]


def confirm_seeds(spec: StudySpec) -> list[int]:
    """Seeds that nothing before the confirm stage has seen."""
    return [spec.seed + CONFIRM_SEED_OFFSET + i for i in range(spec.confirm.seeds)]


def tune_trials(spec: StudySpec) -> list[Trial]:
    """Trial 0 without a teacher, then the logit losses without features.

    Plain KL at every weight and temperature, decoupled KL at every weight and its paper's temperature 4:
    a strong control must be tuned as well.
    """
    space = spec.space
    plain = [Recipe(output_weight=w, temperature=t) for w in space.output_weight for t in space.temperature]
    strong = [Recipe(output_loss="dkd", output_weight=w, temperature=4.0) for w in space.output_weight]
    return [Trial(number, "tune", recipe) for number, recipe in enumerate([Recipe(), *plain, *strong])]


def tuned_outputs(trials: Sequence[Trial], direction: str, loss: OutputLossName) -> Recipe:
    """The best recipe of the tune stage with that logit loss: frozen for the rest of the study.

    Features are searched on top of the plain one, so that a better logit weight is never taken for
    a better mapping.
    """
    tried = [t for t in trials if t.proposer == "tune" and t.recipe.uses_outputs and t.recipe.output_loss == loss]
    done = [t for t in tried if t.state == "complete"]
    return max(done, key=lambda t: _good(t, direction)).recipe if done else tried[0].recipe


def control_trials(
    spec: StudySpec, space: RecipeSpace, similarity: Similarity, outputs: Recipe, strong: Recipe, first: int
) -> list[Trial]:
    """All controls at the search's settings, numbered from `first`, on top of the two tuned logit recipes.

    A mapping whose rows cannot be mixed, such as `all` across widths, is summed.
    """
    legal = space.legal(spec.space.loss[0], spec.space.projector[0])
    mappings = mapping_controls(space, similarity, legal, spec.seed)
    settings = {
        "loss": spec.space.loss[0],
        "projector": spec.space.projector[0],
        "aggregation": spec.space.aggregation[0],
        "balance": spec.space.balance[0],
        "anneal": spec.space.anneal[-1],
        "feature_share": min(max(CONTROL_SHARE, spec.space.feature_share[0]), spec.space.feature_share[1]),
    }
    recipes = plain_controls(outputs, strong)
    recipes |= {name: replace(outputs, mapping=mapping, **settings) for name, mapping in mappings.items()}  # type: ignore[arg-type]
    recipes = {name: replace(r, aggregation="sum") if space.problems(r) else r for name, r in recipes.items()}
    if "uniform" in mappings:
        recipes["article"] = article(mappings["uniform"], outputs)
    return [
        Trial(number, "control", recipe, control=name) for number, (name, recipe) in enumerate(recipes.items(), first)
    ]


def matched_trials(nominee: Recipe, trials: Sequence[Trial], space: RecipeSpace, first: int) -> list[Trial]:
    """Every hand-made mapping with the nominee's own loss, share and fading, numbered from `first`.

    So that the verdict is about the mapping: against controls at other settings a better share
    would pass for a better mapping. The nominee's own mapping is left out, and of equal ones all but the first.
    """
    matched: list[Trial] = []
    for trial in trials:
        mapping = trial.recipe.mapping
        if trial.proposer != "control" or not mapping.pairs or trial.control == "article":
            continue
        recipe = replace(nominee, mapping=mapping)
        known = (nominee.mapping, *(m.recipe.mapping for m in matched))
        if not any(same_mapping(mapping, other) for other in known) and not space.problems(recipe):
            matched.append(Trial(first + len(matched), "matched", recipe, control=trial.control))
    return matched


def missing_matched_trials(nominee: Recipe, trials: Sequence[Trial], space: RecipeSpace) -> list[Trial]:
    """Those of `matched_trials` that the study does not have: all of them for a new nominee, none for the old one."""
    have = {t.recipe for t in trials if t.proposer == "matched"}
    missing = [t for t in matched_trials(nominee, trials, space, 0) if t.recipe not in have]
    return [replace(trial, number=len(trials) + i) for i, trial in enumerate(missing)]


def matched_to(nominee: Trial, trials: Sequence[Trial]) -> list[Trial]:
    """The matched trials of that nominee; an earlier nominee's have other settings."""
    matched = [t for t in trials if t.proposer == "matched"]
    return [t for t in matched if t.recipe == replace(nominee.recipe, mapping=t.recipe.mapping)]


def same_mapping(one: LayerMapping, other: LayerMapping) -> bool:
    """Whether two mappings teach alike: their weights differ by a common factor only."""
    a, b = one.normalised().pairs, other.normalised().pairs
    return len(a) == len(b) and all(x[:2] == y[:2] and math.isclose(x[2], y[2]) for x, y in zip(a, b, strict=True))


def verdict_controls(trials: Sequence[Trial], nominee: Trial | None) -> tuple[dict[str, int], list[str]]:
    """Which trial stands for each control in the verdict, and the controls that are the nominee's own mapping."""
    controls = [t for t in trials if t.proposer == "control"]
    matched = matched_to(nominee, trials) if nominee is not None else []
    numbers = {t.control: t.number for t in controls if t.control in (*PLAIN, "article")}
    own = []
    for control in controls:
        mapping = control.recipe.mapping
        if control.control in numbers:
            continue
        if nominee is not None and same_mapping(mapping, nominee.recipe.mapping):
            own.append(control.control)
        twin = next((m for m in matched if same_mapping(mapping, m.recipe.mapping)), None)
        if twin is not None:
            numbers[control.control] = twin.number
    return numbers, own


def is_free(draw: int, share: float) -> bool:
    """Whether the proposal of that index comes from the free space; spread evenly over the draws."""
    return math.floor((draw + 1) * share) > math.floor(draw * share)


def plan(
    spec: StudySpec, trials: Iterable[Trial], rung: int, seeds: Sequence[int], stage: Stage, split: Split = "valid"
) -> list[RunPlan]:
    """One run per trial and seed."""
    n_steps = spec.n_steps(rung)
    return [RunPlan(t.number, t.recipe, rung, seed, stage, split, n_steps) for seed in seeds for t in trials]


def proposal_plans(spec: StudySpec, proposals: Sequence[Trial]) -> list[RunPlan]:
    """The runs of proposals at the first rung; a proposal that maps nothing has none."""
    return plan(spec, [t for t in proposals if t.recipe.mapping.pairs], SEARCH, search_seeds(spec), "search")


def n_to_ask(spec: StudySpec, n_proposed: int, n_workers: int) -> int:
    """How many proposals a free worker gets: its share of a batch, as long as there are any."""
    return min(math.ceil(spec.search.batch / n_workers), spec.search.trials - n_proposed)


def runs_to_redo(trials: Sequence[Trial], runs: Sequence[Run], finalists: Sequence[int]) -> list[RunKey]:
    """The runs that a study which failed tries again: all of a stage in which none came through.

    Of a stage that was cut short, so that runs of it wait, the crashed ones are tried again.
    """
    stages: dict[str, list[Run]] = {}
    for run in runs:
        stages.setdefault(_stage_of(run, trials[run.trial], finalists), []).append(run)
    redo: list[RunKey] = []
    for own in stages.values():
        states = {run.state for run in own}
        if "complete" not in states:
            redo += [run.key for run in own if run.state in FINISHED]
        elif "waiting" in states:
            redo += [run.key for run in own if run.state == "crashed"]
    return redo


def trials_to_redo(trials: Sequence[Trial], runs: Sequence[Run], redo: Collection[RunKey]) -> set[int]:
    """The trials whose state and value come from runs that are tried again, whatever the others of them gave."""
    keys = set(redo)
    return {run.trial for run in runs if run.key in keys and run.stage == _deciding_stage(trials[run.trial])}


def _deciding_stage(trial: Trial) -> Stage:
    """The stage whose runs close the trial."""
    deciding: dict[Proposer, Stage] = {"tune": "tune", "matched": "confirm"}
    return deciding.get(trial.proposer, "search")


def _stage_of(run: Run, trial: Trial, finalists: Sequence[int]) -> str:
    """The runs that stand or fall together: controls and proposals apart, and the finalists but the nominee apart."""
    if run.stage in ("search", "noise"):
        return "proposals" if trial.proposer in PROPOSALS else "controls"
    return "other finalists" if run.stage == "confirm" and run.trial in finalists[1:] else run.stage


def forecast_stages(spec: StudySpec) -> tuple[StageForecast, ...]:
    """The runs of every stage, at most: controls that are not legal here, or equal the nominee, fall away."""
    n_seeds = len(search_seeds(spec))
    n_controls, n_mapped = len(PLAIN) + 1 + len(MAPPING_CONTROLS), len(MAPPING_CONTROLS) + 1  # `article` is the one
    counts: tuple[tuple[Stage, int, int], ...] = (
        ("tune", len(tune_trials(spec)) * len(tune_seeds(spec)), TUNE),
        ("noise", len(NOISE) * (len(noise_seeds(spec)) - n_seeds), SEARCH),
        ("search", (spec.search.trials + n_controls) * n_seeds, SEARCH),
        ("shortlist", n_shortlisted(spec.search.trials + n_mapped) * len(tune_seeds(spec)), TUNE),
        ("confirm", (spec.confirm.finalists + n_controls) * len(confirm_seeds(spec)), FULL),
    )
    return tuple(StageForecast(stage, n_runs, spec.n_steps(rung)) for stage, n_runs, rung in counts)


def cohorts(plans: Sequence[RunPlan], n_workers: int, largest: int) -> list[Cohort]:
    """Runs that may share batches, in groups that keep every worker busy.

    Runs without a teacher are kept apart from the others only by chance: they ride along for nothing.
    """
    groups: dict[tuple[int, int, Split], list[RunPlan]] = {}
    for run in plans:
        groups.setdefault((run.seed, run.n_steps, run.split), []).append(run)
    size = max(1, min(largest, math.ceil(len(plans) / n_workers)))
    return [tuple(group[i : i + size]) for group in groups.values() for i in range(0, len(group), size)]


def outcome(trial: Trial, runs: Sequence[Run], wanted: Sequence[RunPlan]) -> tuple[TrialState, float | None]:
    """State and value of a trial from the runs wanted of it: infeasible if any was or none could be, else the mean."""
    keys = {p.key for p in wanted if p.trial == trial.number}
    own = [run for run in runs if run.key in keys]
    if not own or any(run.state in INFEASIBLE for run in own):
        return "infeasible", None
    values = [run.value for run in own if run.state == "complete" and run.value is not None]
    return ("complete", fmean(values)) if values else ("crashed", None)


def by_seed(runs: Sequence[Run], rung: int) -> dict[int, dict[int, float]]:
    """The metric of complete runs at a rung: trial -> seed -> value."""
    table: dict[int, dict[int, float]] = {}
    for run in runs:
        if run.rung == rung and run.state == "complete" and run.value is not None:
            table.setdefault(run.trial, {})[run.seed] = run.value
    return table


def noise_table(trials: Sequence[Trial], runs: Sequence[Run]) -> Mapping[int, Mapping[int, float]]:
    """The first rung's values of the noise controls: trial -> seed -> metric."""
    table = by_seed(runs, SEARCH)
    found = [t for t in trials if t.control in NOISE and t.proposer == "control" and t.number in table]
    return {t.number: table[t.number] for t in _distinct(found)}


def shortlist(trials: Sequence[Trial], direction: str) -> list[Trial]:
    """The best quarter of all recipes with features, at least three; of equal recipes the first."""
    found = [t for t in trials if t.state == "complete" and t.recipe.mapping.pairs]
    best = sorted(found, key=lambda t: (-_good(t, direction), t.proposer == "control", t.number))
    return _distinct(best)[: n_shortlisted(len(found))]


def n_shortlisted(n_found: int) -> int:
    """How many of so many recipes with features go on."""
    return max(3, math.ceil(n_found / 4))


def finalists(trials: Sequence[Trial], runs: Sequence[Run], n: int, direction: str) -> list[Trial]:
    """The shortlisted recipes by their mean at the shortlist rung, best first; the first is the nominee."""
    sign = 1.0 if direction == "maximize" else -1.0
    broken = {run.trial for run in runs if run.rung == TUNE and run.state != "complete"}
    table = by_seed(runs, TUNE)
    means = {number: fmean(values.values()) for number, values in table.items() if number not in broken}
    ranked = [t for t in trials if t.number in means and t.recipe.mapping.pairs]
    return sorted(ranked, key=lambda t: (-sign * means[t.number], t.number))[:n]


def incumbent(trials: Sequence[Trial], direction: str) -> Trial | None:
    """The best recipe with features so far, among those at settings that the study samples."""
    found = [t for t in trials if t.state == "complete" and t.recipe.mapping.pairs and t.control != "article"]
    return max(found, key=lambda t: (_good(t, direction), -t.number), default=None)


def _distinct(trials: Sequence[Trial]) -> list[Trial]:
    first = {replace(t.recipe, mapping=t.recipe.mapping.normalised()): t for t in reversed(trials)}
    return [t for t in trials if t in first.values()]


def _good(trial: Trial, direction: str) -> float:
    assert trial.value is not None
    return trial.value if direction == "maximize" else -trial.value
