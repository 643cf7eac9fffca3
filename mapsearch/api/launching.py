"""Studies that the service is to start: made, started again, stopped. Nothing here imports torch or a task's code.

Who asks only writes a request into the database; `mapsearch run` and `mapsearch confirm` train, as processes of
their own (`serve/supervisor.py`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapsearch import search
from mapsearch.core.errors import SpecError, StudyChanged
from mapsearch.core.forecast import StageForecast
from mapsearch.core.looks import next_look
from mapsearch.core.spec import StudySpec
from mapsearch.core.studies import ACTIVE, DEFAULT_STORAGE, StartRequest, Study
from mapsearch.core.study_file import parse_study, read_text, study_text
from mapsearch.porting.old_study import old_study
from mapsearch.store.store import Store


def create(
    path: Path, settings: Sequence[str], storage: str = DEFAULT_STORAGE, *, port_of: str | None = None
) -> StudySpec:
    """Store a new study, and ask for it to be started.

    Args:
        path: its study file.
        settings: keys set beside the file, such as `train.lr=2.0e-3`.
        port_of: the study of the same database whose findings it is to begin with, as far as they hold.

    Raises:
        SpecError: the file or a setting breaks the schema, or the old study has found nothing yet.
        StudyNotFound: there is no old study of that name; close matches are named.
        StudyChanged: there is a study of that name.
    """
    text = read_text(path)
    spec = parse_study(text, path, settings)
    kept = study_text(text, settings)
    with Store.open(storage) as store:
        if port_of is not None:
            old_study(store.study(port_of), store.trials(port_of), spec.name)  # raises where it has nothing to give
        new = store.create_study(
            spec.name, spec.to_json(), folder=str(spec.folder), study_file=kept, start_requested=True, port_of=port_of
        )
    if not new:
        raise StudyChanged(f"there is a study `{spec.name}` already; set another `name`, or resume that one")
    return spec


def as_settings(values: Mapping[str, Any]) -> list[str]:
    """Dotted keys and plain values as `--set` takes them: JSON is YAML."""
    return [f"{key}={json.dumps(value)}" for key, value in values.items()]


@dataclass(frozen=True)
class LaunchForecast:
    """What is known of a study before its networks are: `full_runs` are full-run equivalents; `budget` what it sees."""

    name: str
    stages: tuple[StageForecast, ...]
    n_runs: int
    full_runs: float
    budget: str


def forecast(path: Path, settings: Sequence[str]) -> LaunchForecast:
    """What a study would take, at most; how long, only `mapsearch check` can time.

    Args:
        path: its study file.
        settings: keys set beside the file, such as `train.lr=2.0e-3`.

    Raises:
        SpecError: the file or a setting breaks the schema.
    """
    spec = parse_study(read_text(path), path, settings)
    stages = search.forecast_stages(spec)
    full_runs = sum(stage.n_runs * stage.n_steps for stage in stages) / spec.train.steps
    n_runs = sum(stage.n_runs for stage in stages)
    return LaunchForecast(spec.name, stages, n_runs, full_runs, search.budget_sentence(spec, stages))


def resume(name: str, storage: str = DEFAULT_STORAGE) -> None:
    """Ask for a study to go on.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StudyBusy: it runs already.
        StudyChanged: it is complete.
    """
    with Store.open(storage) as store:
        if store.study(name).state == "complete":
            raise StudyChanged(f"study `{name}` is complete; ask for more fresh seeds, or give it a larger budget")
        store.request_start(name)


def confirm_more(name: str, seeds: int, storage: str = DEFAULT_STORAGE) -> None:
    """Ask for the open questions of a finished study to be followed, up to so many fresh seeds in all.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        StudyBusy: it runs already.
        SpecError: it has no verdict yet, or has seen so many seeds.
    """
    with Store.open(storage) as store:
        require_more_seeds(store.study(name), seeds)
        store.request_start(name, seeds=seeds)


def stop(name: str, storage: str = DEFAULT_STORAGE) -> None:
    """Ask a study to stop as Ctrl-C would; one that waits is not started.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
    """
    with Store.open(storage) as store:
        store.request_stop(name)


def record_end(request: StartRequest, reason: str, storage: str = DEFAULT_STORAGE) -> None:
    """Write down why the process that was to fulfil a request ended, where it could not do so itself.

    A study that it never held fails; one that it held is stopped, and goes on when it is resumed.

    Raises:
        StudyNotFound: the study was renamed or deleted.
        StudyBusy: another process has it.
    """
    with Store.open(storage) as store:
        never_held = request in store.start_requests()  # else, one that stands was made since, and is left alone
        with (store.control if never_held else store.maintain)(request.name) as study:
            state = study.state()
            if not never_held and state not in ACTIVE:
                return  # it said so itself
            study.release_runs()
            study.add_event("failed", reason)
            if state != "complete":
                study.set_state("failed" if never_held else "stopped")


def study_to_run(name: str, settings: Sequence[str] = (), storage: str = DEFAULT_STORAGE) -> tuple[StudySpec, str]:
    """A stored study as `mapsearch run NAME` goes on with it, and the text of its file.

    Raises:
        StudyNotFound: no study of that name; close matches are named.
        SpecError: a setting breaks the schema, or this version does not know the stored keys.
    """
    with Store.open_to_read(storage) as store:
        return spec_of(store.study(name), settings)


def spec_of(study: Study, settings: Sequence[str] = ()) -> tuple[StudySpec, str]:
    """`study_to_run` of a study that is at hand.

    Raises:
        SpecError: a setting breaks the schema, or this version does not know the stored keys.
    """
    # The file keeps the name that the study had before `mapsearch rename`.
    settings = [f"name={json.dumps(study.name)}", *settings]
    if study.facts.is_checked or not study.study_file:
        text = json.dumps(study.spec)  # which is YAML
        return parse_study(study_text(text, settings), Path(study.folder) / "stored"), ""
    path = Path(study.folder) / "study.yaml"
    return parse_study(study.study_file, path, settings), study.study_file


def require_more_seeds(study: Study, seeds: int) -> int:
    """The look that follows, in fresh seeds.

    Raises:
        SpecError: the study has no verdict yet, or has seen so many seeds.
    """
    verdict = study.facts.verdict
    if verdict is None:
        raise SpecError(f"study `{study.name}` has no verdict yet; finish it with `mapsearch run STUDY.yaml`")
    seen, asked = max((question.n_seeds for question in verdict.questions), default=0), next_look(seeds)
    if asked <= seen:
        raise SpecError(
            f"--seeds must be more than the {seen} fresh seeds that `{study.name}` has seen, but is {seeds}"
        )
    return asked
