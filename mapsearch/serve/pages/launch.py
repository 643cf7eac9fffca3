"""Starting a study: a folder of those under `--studies`, keys of its study file that are set otherwise, a forecast."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, Response

from mapsearch.api import launching
from mapsearch.api.forecasts import LaunchPlan, launch_plan
from mapsearch.core.errors import SpecError, StudyChanged
from mapsearch.core.settings import with_settings
from mapsearch.report.html.numbers import Unit, unit_of
from mapsearch.serve.folders import file_of, require_settings_without_code, study_folders
from mapsearch.serve.pages.forms import Fields, to_study
from mapsearch.serve.pages.templates import render

router = APIRouter(prefix="/launch")

SPARE_ROWS = 2
"""Empty rows of the form for further settings."""

MOST_ROWS = 40


@dataclass(frozen=True)
class SettingRow:
    """A key that is set otherwise than in the file, and what is wrong with it."""

    key: str
    value: str
    problems: tuple[str, ...] = ()


@router.get("")
def launch(request: Request, folder: str = "", name: str = "", seed: str = "") -> HTMLResponse:
    """What may be started, what is wrong with what may not, and the forecast of the folder that is chosen."""
    if request.state.role != "act":
        raise HTTPException(403, "this token only reads; ask for the one that acts")
    root = request.app.state.settings.studies
    ready = [] if root is None else [each.folder for each in study_folders(root) if not each.problems]
    chosen = folder if folder in ready else next(iter(ready), "")
    fields = {"folder": chosen, "name": name, **({"key-0": "seed", "value-0": seed} if seed else {})}
    return _forecast(request, fields) if chosen else _page(request, fields)


@router.post("/forecast")
def forecast(request: Request, fields: Fields) -> HTMLResponse:
    """The form as it was filled in, with the forecast of that; nothing is stored."""
    return _forecast(request, fields)


@router.post("")
def start(request: Request, fields: Fields) -> Response:
    """Store a study and let it wait for its start; where that is refused, the form comes back as it was filled in."""
    try:
        spec = launching.create(*_asked(request, fields), request.app.state.settings.storage)
    except (SpecError, StudyChanged) as error:
        return _page(request, fields, error.problems, 422)
    return to_study(spec.name)


def _forecast(request: Request, fields: dict[str, str]) -> HTMLResponse:
    try:
        plan = launch_plan(*_asked(request, fields), request.app.state.settings.storage)
    except (SpecError, StudyChanged) as error:
        return _page(request, fields, error.problems)
    return _page(request, fields, plan=plan)


def _asked(request: Request, fields: dict[str, str]) -> tuple[Path, list[str]]:
    """The study file and the settings that a form names.

    Raises:
        SpecError: there is no such folder, or a setting is not one that a client may set.
        StudyChanged: the service starts no studies.
    """
    path = file_of(request.app.state.settings.studies, fields.get("folder", ""))
    lines = [f"{row.key}={row.value}" for row in _rows(fields)]
    if name := fields.get("name", "").strip():
        lines.append(f"name={json.dumps(name)}")
    require_settings_without_code(with_settings({}, lines))
    return path, lines


def _rows(fields: dict[str, str]) -> list[SettingRow]:
    told = (tuple(fields.get(f"{part}-{i}", "").strip() for part in ("key", "value")) for i in range(MOST_ROWS))
    rows = [SettingRow(key, value) for key, value in told]
    return [row for row in rows if row.key or row.value]


def _page(
    request: Request, fields: dict[str, str], problems: Sequence[str] = (), status: int = 200,
    plan: LaunchPlan | None = None,
) -> HTMLResponse:  # fmt: skip
    root = request.app.state.settings.studies
    folders = [] if root is None else study_folders(root)
    told = [_without_path(problem) for problem in problems]
    rows = [SettingRow(row.key, row.value, tuple(p for p in told if _is_of(p, row.key))) for row in _rows(fields)]
    of_name = [problem for problem in told if _is_of(problem, "name")]
    beside = {*of_name, *(problem for row in rows for problem in row.problems)}
    rows += [SettingRow("", "")] * (SPARE_ROWS if len(rows) < MOST_ROWS - SPARE_ROWS else 0)
    return render(
        request, "launch.html", status, root=root, folders=folders, fields={"folder": "", "name": "", **fields},
        rows=rows, of_name=of_name, problems=[p for p in told if p not in beside], plan=plan,
        unit=_unit(plan) if plan else None, n_problems=len(told),
    )  # fmt: skip


def _unit(plan: LaunchPlan) -> Unit:
    """A gain in points where the metric is a fraction, as far as its name and noise tell."""
    known = [value for value in (plan.spec.margin, plan.gain) if value is not None]
    return unit_of(plan.spec.metric, known, min(known, default=None))


def _is_of(problem: str, key: str) -> bool:
    """Whether the problem is of that key, of its section, or of something in it."""
    place = re.search("`([^`]+)`", problem)
    return place is not None and key != "" and (f"{place[1]}.".startswith(f"{key}.") or key.startswith(f"{place[1]}."))


def _without_path(problem: str) -> str:
    """What is wrong, without the place of the file on the server: the form says which it is."""
    return re.sub(r"^\S*study\.yaml: ", "", problem)
