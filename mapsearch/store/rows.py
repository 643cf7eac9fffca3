"""Nouns as rows of the study database, and back."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import NoneType
from typing import Any

from sqlalchemy import Table

from mapsearch.core.budget import PRESETS
from mapsearch.core.errors import DatabaseFailed, MapsearchError, StoreError
from mapsearch.core.facts import StudyFacts
from mapsearch.core.overheads import Overheads
from mapsearch.core.port import Port
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run, RunKey, RunPlan, RunResult
from mapsearch.core.studies import UNDER_WAY, Study, StudyState
from mapsearch.core.summaries import RunSummary, StudyCost, StudyOverview, StudySummary, TrialSummary
from mapsearch.core.text import shortened, storable
from mapsearch.core.trials import Trial
from mapsearch.core.verdict import Verdict
from mapsearch.store.schema import studies

Row = Mapping[Any, Any]

DEFAULT_RECIPE = Recipe().to_json()
"""What a stored recipe lacks that an earlier version of mapsearch wrote."""


def now() -> str:
    """This instant in UTC, as ISO text that sorts by time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@contextmanager
def undamaged(table: Table, study: str) -> Iterator[None]:
    """Rows of the table are made into nouns.

    Raises:
        DatabaseFailed: a row is no JSON, or JSON of another form than we wrote.
    """
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, MapsearchError) as error:
        raise DatabaseFailed(
            f"a row of study `{study}` in table `{table.name}` is damaged ({type(error).__name__}: {error}); "
            "restore a backup"
        ) from error


def expect(kind: type | tuple[type, ...], **columns: Any) -> None:
    """Inside `undamaged`: makes sure that each column holds such a value."""
    for name, value in columns.items():
        if not isinstance(value, kind):
            raise TypeError(f"`{name}` is a {type(value).__name__}")


def study_of(row: Row, *, held: bool) -> Study:
    """The study of a row that carries its counts."""
    expect(dict, spec=row["spec"], facts=row["facts"])
    fields = {field: row[field] for field in Study.__dataclass_fields__}
    return Study(**{**fields, "state": _state(row, held=held), "facts": StudyFacts.from_json(row["facts"])})


def study_summary_of(row: Row, *, held: bool) -> StudySummary:
    """The summary of a row that carries its counts."""
    fields = {field: row[field] for field in StudySummary.__dataclass_fields__}
    return StudySummary(**{**fields, "state": _state(row, held=held)})


def overview_of(row: Row, *, held: bool, cost: StudyCost) -> StudyOverview:
    """The overview, without trials, of a row that carries the study's counts.

    Raises:
        StoreError: the stored settings are not those of this version of mapsearch.
    """
    name, spec = row["name"], row["spec"]
    metric, direction, n_steps = (_setting(spec, path) for path in ("metric", "direction", "train.steps"))
    problems = [
        f"study `{name}` was stored by another version of mapsearch: of its settings, `{path}` must be {rule}, but got "
        f"{shortened(value)}; read it with that version"
        for path, rule, value, holds in (
            ("metric", "a name", metric, isinstance(metric, str)),
            ("direction", "maximize or minimize", direction, direction in ("maximize", "minimize")),
            ("train.steps", "a whole number above zero", n_steps, isinstance(n_steps, int) and n_steps > 0),
        )
        if not holds
    ]
    if problems:
        raise StoreError(*problems)
    counts = {field: row[field] for field in ("n_trials", "n_runs", "n_complete", "n_expected")}
    with undamaged(studies, name):
        verdict = Verdict.from_json(row["verdict"]) if row["verdict"] else None
        teacher = dict(row["teacher"] or {})
        overheads = Overheads.from_json(row["overheads"]) if row["overheads"] else None
        port = Port.from_json(row["port"]) if row["port"] else None
    return StudyOverview(
        name, _state(row, held=held), metric, direction, n_steps, _budget(_setting(spec, "budget")), **counts,
        teacher=teacher, verdict=verdict, cost=cost, trials=(), overheads=overheads, port=port,
        note=row["note"],
    )  # fmt: skip


def _budget(stored: Any) -> int | None:
    """Full runs of a stored budget; None where an earlier version of mapsearch stored none."""
    known: Mapping[str, int] = {str(name): n for name, n in PRESETS.items()}
    return known.get(stored) if isinstance(stored, str) else stored


def _setting(spec: Any, path: str) -> Any:
    """The value at the dotted path of a stored study file; None if there is none."""
    for key in path.split("."):
        spec = spec.get(key) if isinstance(spec, dict) else None
    return spec


def _state(row: Row, *, held: bool) -> StudyState:
    """How the study goes for those who look on, whatever its last controller said of it.

    Who holds one that was stopped or failed is about to go on with it, or leaves it in a moment: a page that took it
    for ended would follow it no more. What is held by nobody is queued where it is to be started, and was stopped where
    somebody began with it.
    """
    state: StudyState = row["state"]
    if held:
        return "queued" if state in ("stopped", "failed") else state
    if row["start_requested"]:
        return "queued"
    was_begun = state in UNDER_WAY or (state == "queued" and row["lease_epoch"] > 0)
    return "stopped" if was_begun else state


def trial_row(study_id: str, trial: Trial) -> dict[str, Any]:
    """A row for a trial that the sampler has not been told of."""
    fields = {field: getattr(trial, field) for field in Trial.__dataclass_fields__}
    return {**fields, "study_id": study_id, "recipe": trial.recipe.to_json(), "told": False}


def trial_of(row: Row) -> Trial:
    """The trial that `trial_row` wrote."""
    expect(dict, recipe=row["recipe"], params=row["params"])
    fields = {field: row[field] for field in Trial.__dataclass_fields__}
    return Trial(**{**fields, "recipe": Recipe.from_json(row["recipe"])})


def trial_summary_of(row: Row, **summed_up: Any) -> TrialSummary:
    """The summary of a trial's row and of what its runs came to; no recipe is made, which takes long for many."""
    recipe = row["recipe"]
    expect(dict, recipe=recipe, params=row["params"])
    if not recipe.keys() <= DEFAULT_RECIPE.keys():
        recipe = Recipe.from_json(recipe).to_json()
    fields = ("number", "proposer", "control", "state", "value", "params")
    return TrialSummary(**{field: row[field] for field in fields}, recipe={**DEFAULT_RECIPE, **recipe}, **summed_up)


def run_row(study_id: str, plan: RunPlan) -> dict[str, Any]:
    """A row for a run that waits for its first attempt."""
    return {
        "study_id": study_id,
        "trial": plan.trial,
        "rung": plan.rung,
        "seed": plan.seed,
        "stage": plan.stage,
        "split": plan.split,
        "n_steps": plan.n_steps,
        "state": "waiting",
        "attempt": 0,
    }


def result_columns(result: RunResult) -> dict[str, Any]:
    """What a run's row holds of its result: the whole, and apart from it what lists show."""
    whole = result_json(result)
    return {
        "result": whole,
        "seconds": whole["seconds"],
        "error": whole["error"],
        "notes": whole["notes"] or None,
        "mixed_weights": whole["mixed_weights"] or None,
    }


NO_RESULT: dict[str, Any] = {"result": None, "seconds": None, "error": "", "notes": None, "mixed_weights": None}
"""The same of a run that has none."""


def run_summary_of(row: Row) -> RunSummary:
    """The run of a row without its result."""
    fields = {field: row[field] for field in RunSummary.__dataclass_fields__}
    expect((list, NoneType), notes=row["notes"], mixed_weights=row["mixed_weights"])
    lists = {field: tuple(row[field] or ()) for field in ("notes", "mixed_weights")}
    return RunSummary(**{**fields, **lists})


def run_of(row: Row) -> Run:
    """The run of a row, with its result if it has one."""
    fields = {field: row[field] for field in Run.__dataclass_fields__}
    key = (row["trial"], row["rung"], row["seed"])
    return Run(**{**fields, "result": result_of(key, row["attempt"], row["result"]) if row["result"] else None})


def _storable(value: Any) -> Any:
    """The value with numbers that JSON cannot hold as None, and texts as any database takes them; inside lists too."""
    if isinstance(value, (list, tuple)):
        return [_storable(item) for item in value]
    if isinstance(value, dict):
        return {storable(key): _storable(item) for key, item in value.items()}
    if isinstance(value, str):
        return storable(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def result_json(result: RunResult) -> dict[str, Any]:
    """Plain data of a result; its key and attempt stand in columns of their own."""
    fields = (field for field in RunResult.__dataclass_fields__ if field not in ("key", "attempt"))
    return {field: _storable(getattr(result, field)) for field in fields}  # a diverged run must not stop the study


def result_of(key: RunKey, attempt: int, data: dict[str, Any]) -> RunResult:
    """The result that `result_json` made plain."""
    return RunResult(
        **{
            **data,
            "key": key,
            "attempt": attempt,
            "curve": tuple((step, loss) for step, loss in data["curve"]),
            "scales": tuple(data["scales"]),
            "norms": tuple(data.get("norms", ())),  # runs of earlier versions have none
            "mixed_weights": tuple(data.get("mixed_weights", ())),
            "gradient_shares": tuple(data["gradient_shares"]),
            "notes": tuple(data["notes"]),
            "terms": tuple(data.get("terms", ())),
            "term_curve": tuple((step, tuple(values)) for step, values in data.get("term_curve", ())),
        }
    )
