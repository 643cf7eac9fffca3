"""The recipes of a study as tables, as wide as there is room."""

from collections.abc import Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mapsearch.core.mapping import LayerMapping
from mapsearch.core.recipe import Recipe
from mapsearch.core.summaries import TrialSummary
from mapsearch.core.trials import PROPOSALS
from mapsearch.report.cell_text import cell_text
from mapsearch.report.layer_names import shorten

SHOWN_TRIALS = 5
"""Proposals that `show` lists, the best ones."""

WIDE = 100
"""Columns of a terminal in which a recipe has room beside its numbers; below, recipes are a table of their own."""


def trials_tables(
    trials: Sequence[TrialSummary], metric: str, direction: str, width: int, *, every: bool = False
) -> list[Table]:
    """The best recipes of the search, the controls below them: numbers and recipes, in one table or in two.

    Args:
        width: columns of the terminal.
        every: also the controls at the nominee's settings that nothing was confirmed of.
    """
    shown = _shown(trials, direction, every)
    short = _ShortNames([Recipe.from_json(t.recipe) for t in shown])
    outputs = next((Recipe.from_json(t.recipe) for t in trials if t.control == "outputs"), None)
    texts = [_recipe_text(trial, short, outputs) for trial in shown]
    numbers, recipes = _numbers_table(metric, direction), Table(box=SIMPLE_HEAD)
    if width >= WIDE:
        numbers.add_column(cell_text(short.heading), overflow="fold")
        for trial, text in zip(shown, texts, strict=True):
            numbers.add_row(*_number_cells(trial), text)
        return [numbers]
    recipes.add_column("trial", justify="right")
    recipes.add_column(cell_text(short.heading), overflow="fold")
    for trial, text in zip(shown, texts, strict=True):
        numbers.add_row(*_number_cells(trial))
        recipes.add_row(str(trial.number), text)
    return [numbers, recipes]


def _shown(trials: Sequence[TrialSummary], direction: str, every: bool) -> list[TrialSummary]:
    sign = -1.0 if direction == "maximize" else 1.0
    proposals = [t for t in trials if t.proposer in PROPOSALS and t.value is not None]
    ranked = sorted(proposals, key=lambda t: (not t.confirmed, sign * (t.value or 0.0)))
    tuned = [] if ranked else [t for t in trials if t.proposer == "tune"]
    controls = [t for t in trials if t.control and (every or t.confirmed or t.proposer != "matched")]
    return [*tuned, *ranked, *controls]


class _ShortNames:
    """Layers without what their names share, which stands once, in the heading."""

    def __init__(self, recipes: Sequence[Recipe]) -> None:
        students = list(dict.fromkeys(name for r in recipes for name in r.mapping.student_layers))
        teachers = list(dict.fromkeys(name for r in recipes for name in r.mapping.teacher_layers))
        (s_pattern, s_short), (t_pattern, t_short) = shorten(students), shorten(teachers)
        self._student = dict(zip(students, s_short, strict=True))
        self._teacher = dict(zip(teachers, t_short, strict=True))
        shared = (s_pattern, t_pattern) != ("*", "*")
        self.heading = f"recipe: {s_pattern} <- {t_pattern}" if shared else "recipe"

    def of(self, recipe: Recipe) -> Recipe:
        pairs = [(self._student[p.student], self._teacher[p.teacher], p.weight) for p in recipe.mapping.pairs]
        return replace(recipe, mapping=LayerMapping(pairs))


def _numbers_table(metric: str, direction: str) -> Table:
    arrow = "↑" if direction == "maximize" else "↓"
    table = Table(title="recipes: best proposals first, then the controls", title_justify="left", box=SIMPLE_HEAD)
    table.caption = cell_text(f"search, confirmed: {metric} {arrow}; time: of training, over that of `outputs`")
    table.caption_justify = "left"
    table.add_column("trial", justify="right")
    table.add_column("from", overflow="fold")
    for heading in ("search", "confirmed (n)", "time"):
        table.add_column(heading, justify="right", overflow="fold")
    return table


def _number_cells(trial: TrialSummary) -> tuple[str, ...]:
    values = trial.confirmed
    return (
        str(trial.number),
        trial.control + (" (matched)" if trial.proposer == "matched" else "") or trial.proposer,
        f"{trial.value:.4f}" if trial.value is not None and trial.proposer != "matched" else "-",
        f"{sum(values) / len(values):.4f} ({len(values)})" if values else "-",
        f"{trial.overhead:.2f}x" if trial.overhead is not None else "-",
    )


def _recipe_text(trial: TrialSummary, short: _ShortNames, outputs: Recipe | None) -> Text:
    """The recipe, and on a line of its own the first thing that went wrong.

    What it does with outputs and task is told only where it differs from the control `outputs`.
    """
    recipe = short.of(Recipe.from_json(trial.recipe))
    known = outputs is not None and recipe.mapping.pairs and recipe.target_text == outputs.target_text
    told = [recipe.feature_text, "" if known else recipe.target_text, recipe.settings_text]
    kind = "note" if trial.state == "complete" else trial.state
    return Text("\n").join(
        [cell_text(", ".join(filter(None, told))), *(cell_text(f"{kind}: {text}") for text in trial.warnings[:1])]
    )
