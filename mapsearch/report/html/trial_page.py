"""All that a page about one trial shows, ready for the templates."""

from dataclasses import dataclass
from math import fsum
from statistics import fmean

from mapsearch.core.details import TrialDetails
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run
from mapsearch.core.summaries import StudyOverview
from mapsearch.report.failures import failure_sentences
from mapsearch.report.html.loss_curves import LossCurves, loss_curves
from mapsearch.report.html.mapping_drawing import MappingDrawing, draw_mapping
from mapsearch.report.html.numbers import Unit, unit_of
from mapsearch.report.html.study_page import TrialRow, trial_row
from mapsearch.report.html.term_curves import TermCurves, term_curves

MOST_TERMS = 12
"""Terms with a bar of their own, those with the largest shares; the others are one bar."""


@dataclass(frozen=True)
class Share:
    """A term of the loss and its part of the gradient at the first steps."""

    term: str
    part: float


@dataclass(frozen=True)
class TrialPage:
    """What stands on the page; a chart is None where there is nothing to draw."""

    study: StudyOverview
    unit: Unit
    row: TrialRow
    recipe: tuple[tuple[str, str], ...]
    mapping: MappingDrawing | None
    curves: LossCurves | None
    terms: TermCurves | None
    shares: tuple[Share, ...]
    n_shared: int
    details: TrialDetails
    failures: tuple[str, ...]
    environment: str


def trial_page(details: TrialDetails) -> TrialPage:
    """The page of a trial, whatever became of it."""
    recipe, study = Recipe.from_json(details.trial.recipe), details.study
    students, teachers = ([x.path for x in details.facts.layers.get(side, ())] for side in ("student", "teacher"))
    measured = [run.value for run in details.runs if run.value is not None]
    shared = [run for run in details.runs if run.result is not None and run.result.gradient_shares]
    return TrialPage(
        study,
        unit_of(study.metric, measured, study.verdict.margin if study.verdict else details.facts.margin),
        trial_row(details.trial, study),
        _settings(recipe),
        draw_mapping(recipe.mapping, students, teachers) if recipe.mapping.pairs else None,
        loss_curves(details.runs),
        term_curves(details.runs),
        _shares(recipe, shared),
        len(shared),
        details,
        tuple(failure_sentences(study.failures)),
        ", ".join(f"{name} {version}" for name, version in details.facts.environment.items() if version),
    )


def _shares(recipe: Recipe, runs: list[Run]) -> tuple[Share, ...]:
    """The mean part of the gradient of every feature term, largest first, and of all other terms together."""
    if not runs:
        return ()
    columns = zip(*(run.result.gradient_shares for run in runs if run.result is not None), strict=True)
    means = [fmean(column) for column in columns]
    named = sorted((Share(term.name, part) for term, part in zip(recipe.feature_terms, means, strict=True)),
                   key=lambda share: -share.part)  # fmt: skip
    few, rest = named[:MOST_TERMS], named[MOST_TERMS:]
    others = [Share(f"{len(rest)} more feature terms", fsum(share.part for share in rest))] if rest else []
    return (Share("task and outputs", max(0.0, 1 - fsum(means))), *few, *others)


def _settings(recipe: Recipe) -> tuple[tuple[str, str], ...]:
    """Every field of the recipe but its mapping, as the study file names them."""
    fields = {name: value for name, value in recipe.to_json().items() if name != "pairs"}
    return tuple((name, "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value))
                 for name, value in fields.items())  # fmt: skip
