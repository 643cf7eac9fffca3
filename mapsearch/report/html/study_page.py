"""All that a page about one study shows, ready for the templates."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from mapsearch.core.details import StageCost, StudyDetails
from mapsearch.core.recipe import Recipe
from mapsearch.core.summaries import StudyOverview, TrialSummary
from mapsearch.core.trials import PROPOSALS
from mapsearch.report.failures import failure_sentences
from mapsearch.report.html.decision import DecisionText, decision_text
from mapsearch.report.html.decision_note import decision_note
from mapsearch.report.html.forest import Forest, forest
from mapsearch.report.html.heat_table import HeatTable, heat_table
from mapsearch.report.html.mapping_drawing import MappingDrawing, draw_mapping
from mapsearch.report.html.numbers import Unit, counted, duration, unit_of
from mapsearch.report.html.quality_cost import QualityCost, quality_cost
from mapsearch.report.html.search_history import SearchHistory, search_history

SHOWN_TRIALS = 15
"""Proposals in the table of a page, the best ones."""

OPEN_TRIALS = 5
"""Proposals that are listed at once; the others and what was not confirmed open on demand."""

SHOWN_VERSIONS = ("mapsearch", "torch", "python", "device")


@dataclass(frozen=True)
class TrialRow:
    """A trial as a line of a table; `kind` is `recommended`, `nominee` or empty; `leading` ones are shown at once."""

    number: int
    name: str
    kind: str
    recipe: str
    value: float | None
    mean: float | None
    n_seeds: int
    overhead: float | None
    trouble: str
    leading: bool = False


@dataclass(frozen=True)
class SeedTable:
    """Values by fresh seed of the trials that questions are about; None where a trial lacks the seed."""

    names: tuple[str, ...]
    rows: tuple[tuple[int, tuple[float | None, ...]], ...]


@dataclass(frozen=True)
class StudyPage:
    """What stands on the page; a chart is None where the study has nothing to draw yet."""

    study: StudyOverview
    unit: Unit
    subtitle: str
    decision: DecisionText
    forest: Forest | None
    seed_table: SeedTable
    mapping: MappingDrawing | None
    mapping_of: str
    heat: HeatTable | None
    quality: QualityCost | None
    history: SearchHistory | None
    trials: tuple[TrialRow, ...]
    stages: tuple[StageCost, ...]
    trust: tuple[tuple[str, str], ...]
    failures: tuple[str, ...]
    note: str

    @property
    def better(self) -> str:
        """Whether more or less of the metric is better."""
        return "higher" if self.study.direction == "maximize" else "lower"


def study_page(details: StudyDetails) -> StudyPage:
    """The page of a study, whatever its state."""
    study, facts = details.overview, details.facts
    margin = study.verdict.margin if study.verdict else facts.margin
    unit = unit_of(study.metric, _measured(details), margin)
    drawn = _drawn(study)
    mapping = Recipe.from_json(drawn.recipe).mapping if drawn else None
    students, teachers = ([layer.path for layer in facts.layers.get(side, ())] for side in ("student", "teacher"))
    text = decision_text(details, unit)
    outputs = next((Recipe.from_json(t.recipe).target_text for t in study.trials if t.control == "outputs"), None)
    pairs = {(pair.student, pair.teacher) for pair in mapping.pairs} if mapping else set()
    return StudyPage(
        study,
        unit,
        _subtitle(details),
        text,
        forest(study.verdict, study) if study.verdict and study.verdict.questions else None,
        _seed_table(study),
        draw_mapping(mapping, students, teachers) if mapping and mapping.pairs else None,
        _mapping_of(drawn, study) if drawn else "",
        heat_table(facts.similarity, pairs) if facts.similarity else None,
        quality_cost(study),
        search_history(details.history, study.direction),
        tuple(
            replace(trial_row(trial, study, outputs), leading=bool(trial.confirmed) or i < OPEN_TRIALS)
            for i, trial in enumerate(_listed(study))
        ),
        details.stages,
        _trust(details, unit),
        tuple(failure_sentences(study.failures)),
        decision_note(study, text, details.updated_at[:10]),
    )


def trial_row(trial: TrialSummary, study: StudyOverview, outputs: str | None = None) -> TrialRow:
    """A trial as a line of a table; what it does with outputs and task is told where it is not as `outputs` does."""
    verdict = study.verdict
    kinds = {} if verdict is None else {verdict.nominee: "nominee", verdict.recommended: "recommended"}
    matched = trial.proposer == "matched"
    return TrialRow(
        trial.number,
        f"{trial.control} (matched)" if matched else trial.control or trial.proposer,
        kinds.get(trial.number, ""),
        _recipe_text(Recipe.from_json(trial.recipe), outputs),
        None if matched else trial.value,
        fmean(trial.confirmed) if trial.confirmed else None,
        len(trial.confirmed),
        trial.overhead,
        trial.warnings[0] if trial.warnings else "",
    )


def _recipe_text(recipe: Recipe, outputs: str | None) -> str:
    target = "" if recipe.mapping.pairs and recipe.target_text == outputs else recipe.target_text
    return ", ".join(filter(None, (recipe.feature_text, target, recipe.settings_text)))


def _measured(details: StudyDetails) -> list[float]:
    values = [trial.value for trial in details.history if trial.value is not None]
    return [*values, *(value for trial in details.overview.trials for value in trial.confirmed)]


def _subtitle(details: StudyDetails) -> str:
    study, layers = details.overview, details.facts.layers
    sizes = [counted(len(layers[side]), f"{side} layer") for side in ("teacher", "student") if side in layers]
    better = "higher" if study.direction == "maximize" else "lower"
    when = f"last change {details.updated_at[:16].replace('T', ' ')} UTC"
    return " · ".join([*sizes, f"{study.metric}, {better} is better", when])


def _drawn(study: StudyOverview) -> TrialSummary | None:
    """The trial whose mapping is drawn: the recommended one if it has a mapping, the nominee, or the best so far."""
    verdict, trials = study.verdict, {trial.number: trial for trial in study.trials if trial.recipe["pairs"]}
    for number in (verdict.recommended, verdict.nominee) if verdict else ():
        if number in trials:
            return trials[number]
    return next((trial for trial in _listed(study) if trial.number in trials), None)


def _mapping_of(trial: TrialSummary, study: StudyOverview) -> str:
    row = trial_row(trial, study)
    what = f"control {trial.control}" if trial.control else "found by the search"
    role = {"recommended": "the recommended recipe", "nominee": "the nominee", "": "the best so far"}[row.kind]
    return f"Trial {trial.number}, {role}, {what}."


def _listed(study: StudyOverview) -> list[TrialSummary]:
    """The best proposals, then the controls; while nothing is searched, what was tuned."""
    sign = -1.0 if study.direction == "maximize" else 1.0
    proposals = [t for t in study.trials if t.proposer in PROPOSALS and t.value is not None]
    ranked = sorted(proposals, key=lambda t: (not t.confirmed, sign * (t.value or 0.0)))
    tuned = [] if ranked else [t for t in study.trials if t.proposer == "tune"]
    controls = [t for t in study.trials if t.control and (t.confirmed or t.proposer != "matched")]
    return [*tuned, *ranked, *controls]


def _seed_table(study: StudyOverview) -> SeedTable:
    verdict = study.verdict
    if verdict is None:
        return SeedTable((), ())
    named = {"nominee": verdict.nominee} | {question.control: question.trial for question in verdict.questions}
    trials = {trial.number: trial for trial in study.trials}
    columns = {
        name: dict(zip(trials[number].confirmed_seeds, trials[number].confirmed, strict=True))
        for name, number in named.items()
        if number in trials and trials[number].confirmed
    }
    seeds = sorted({seed for values in columns.values() for seed in values})
    return SeedTable(tuple(columns), tuple((seed, _row(columns, seed)) for seed in seeds))


def _row(columns: Mapping[str, Mapping[int, float]], seed: int) -> tuple[float | None, ...]:
    return tuple(values.get(seed) for values in columns.values())


def _trust(details: StudyDetails, unit: Unit) -> tuple[tuple[str, str], ...]:
    """What the numbers rest on; what is not known is left out."""
    facts, verdict = details.facts, details.overview.verdict
    noise = verdict.noise if verdict else None
    teacher = facts.teacher.get(details.overview.metric)
    failed = sum(stage.n_failed for stage in details.stages)
    margin = (unit.size(facts.margin), facts.margin_reason) if facts.margin else None
    rows = {
        "Margin": f"{margin[0]}: {margin[1]}" if margin else "",
        "Teacher": f"{unit.value(teacher)} on the validation data" if teacher is not None else "",
        "Seed noise": f"standard deviation {unit.size(noise.seed_sd)} between seeds" if noise else "",
        "Mappings": _flatness(noise.flat) if noise else "",
        "Runs that failed": f"{failed} of {counted(details.overview.n_runs, 'run')}" if failed else "none",
        "Full schedule": f"{details.overview.n_steps:,} optimizer steps",
        "Task file": f"sha256 {facts.environment['task_sha256'][:12]}" if "task_sha256" in facts.environment else "",
        "Ran with": ", ".join(f"{k} {facts.environment[k]}" for k in SHOWN_VERSIONS if facts.environment.get(k)),
        "Took": f"{duration(details.overview.cost.device_seconds)} of device time",
    }
    return tuple((name, value) for name, value in rows.items() if value)


def _flatness(flat: bool) -> str:
    if flat:
        return "hand-made mappings could not be told apart: which layers are mapped may not matter here"
    return "hand-made mappings differ by more than chance"
