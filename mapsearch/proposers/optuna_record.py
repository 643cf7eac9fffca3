"""A thin adapter to Optuna: the trials of a search in Optuna's own tables, where its API and dashboard read them."""

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from mapsearch.core.errors import DatabaseFailed, StoreError
from mapsearch.core.recipe import NAMED_SETTINGS
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.core.trials import Trial
from mapsearch.proposers.candidates import Settings, alternatives

Answer = TypeVar("Answer")

Outcome = tuple[int, float | None]
"""Of a trial: its number, and its value if it could be run."""

CREATED_AT_ATTRIBUTE = "mapsearch:created_at"
"""User attribute that identifies an Optuna study as that of our study."""

LARGEST = 1e6
"""Of a recorded number: one range for all, since Optuna compares only what has the same range."""


class OptunaRecord:
    """The Optuna study of a study; it is written to and never read for proposals.

    Args:
        choices: what may vary. What may not is a user attribute of the study, and no parameter of a trial unless it
            differs there: most of the time that a record takes is its parameters'.
        guard: surrounds every exchange with the database: it makes sure that this process is still the one. An
            exchange in which the database fails is tried once more.

    Raises:
        StoreError: the database holds a foreign Optuna study of that name.
    """

    def __init__(
        self,
        url: str,
        name: str,
        metric: str,
        direction: Literal["maximize", "minimize"],
        created_at: str,
        choices: SpaceSpec,
        guard: Callable[[], AbstractContextManager[None]],
    ) -> None:
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._guard = guard
        self._fixed = _fixed(choices)
        self._recorded: dict[Outcome, int] = {}
        self._n_read = 0
        opened = self._exchange(lambda: _open(url, name, metric, direction, created_at, self._fixed))
        self._storage, self._study = opened
        self._exchange(self._read)

    def close(self) -> None:
        """Close the connections to the database: SQLite keeps what was written in a file beside it until the last."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def add(self, trials: Sequence[Trial]) -> dict[int, int]:
        """Record how trials ended, each once per number and outcome; gives their numbers there by ours.

        One that could not be run is a violated constraint. A trial may have another outcome later: the cause was
        mended, and its runs were tried again.
        """
        return self._exchange(lambda: self._add(trials)) if trials else {}

    def _add(self, trials: Sequence[Trial]) -> dict[int, int]:
        self._read()  # what a try that failed has left
        for trial in trials:
            if (trial.number, trial.value) not in self._recorded:
                self._study.add_trial(self._as_theirs(trial))
        self._read()
        return {trial.number: self._recorded[trial.number, trial.value] for trial in trials}

    def _read(self) -> None:
        """Take note of what has been recorded since this was last called."""
        for known in self._study.get_trials(deepcopy=False)[self._n_read :]:
            self._n_read += 1
            if known.state == TrialState.COMPLETE and "trial" in known.user_attrs:
                value = None if known.constraints.get("infeasible", 0.0) > 0 else known.value
                self._recorded.setdefault((known.user_attrs["trial"], value), known.number)

    def _as_theirs(self, trial: Trial) -> FrozenTrial:
        params, kinds = _numbers(trial, self._fixed)
        return create_trial(
            params=params,
            distributions=kinds,
            value=self._worst() if trial.value is None else trial.value,
            user_attrs={"trial": trial.number, "proposer": trial.proposer, "recipe": str(trial.recipe)},
            constraints={"infeasible": 1.0} if trial.value is None else None,
        )

    def _worst(self) -> float:
        rising = self._study.direction == optuna.study.StudyDirection.MAXIMIZE
        return (min if rising else max)((value for _, value in self._recorded if value is not None), default=0.0)

    def _exchange(self, exchange: Callable[[], Answer]) -> Answer:
        """The answer of the database. Each exchange finds what an earlier try of it left, so that it may be repeated.

        Raises:
            DatabaseFailed: the database failed twice.
            StudyBusy: another process took over.
        """
        try:
            with self._guard():
                return exchange()
        except DatabaseFailed:
            with self._guard():
                return exchange()


def rename_record(url: str, name: str, new_name: str, created_at: str) -> None:
    """Gives our study's Optuna study another name, if it has one; Optuna can only copy. Done twice, it changes nothing.

    Raises:
        StoreError: a foreign Optuna study has that name.
    """
    with _storage(url) as storage:
        names = optuna.get_all_study_names(storage)
        if name not in names or _created_at(storage, name) != created_at:
            return
        if new_name in names:
            if _created_at(storage, new_name) != created_at:
                raise StoreError(f"the database holds a foreign Optuna study `{new_name}`; choose another name")
            optuna.delete_study(study_name=new_name, storage=storage)  # half a copy, left by a crash
        optuna.copy_study(from_study_name=name, from_storage=storage, to_storage=storage, to_study_name=new_name)
        optuna.delete_study(study_name=name, storage=storage)


def copy_record(url: str, name: str, new_name: str, created_at: str, new_created_at: str) -> None:
    """Copies our study's Optuna study, if it has one, for the copy of our study that was created then.

    Raises:
        StoreError: a foreign Optuna study has that name.
    """
    with _storage(url) as storage:
        names = optuna.get_all_study_names(storage)
        if name not in names or _created_at(storage, name) != created_at:
            return
        if new_name in names:
            if _created_at(storage, new_name) is None:
                raise StoreError(f"the database holds a foreign Optuna study `{new_name}`; choose another name")
            optuna.delete_study(study_name=new_name, storage=storage)  # left by a crash: no study has the name
        optuna.copy_study(from_study_name=name, from_storage=storage, to_storage=storage, to_study_name=new_name)
        copied = optuna.load_study(study_name=new_name, storage=storage)
        copied.set_user_attr(CREATED_AT_ATTRIBUTE, new_created_at)


def delete_record(url: str, name: str, created_at: str) -> None:
    """Deletes our study's Optuna study, if it has one."""
    with _storage(url) as storage:
        if name in optuna.get_all_study_names(storage) and _created_at(storage, name) == created_at:
            optuna.delete_study(study_name=name, storage=storage)


def create_tables(url: str) -> None:
    """Makes Optuna's tables in the study database if they are not there; one process at a time may call it."""
    with _storage(url):
        pass


@contextmanager
def _storage(url: str) -> Iterator[optuna.storages.RDBStorage]:
    """Optuna's tables in the study database, made if they are not there."""
    logging.getLogger("optuna").setLevel(logging.WARNING)
    storage = optuna.storages.RDBStorage(url, engine_kwargs=_engine_options(url))
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _created_at(storage: optuna.storages.RDBStorage, name: str) -> object:
    return optuna.load_study(study_name=name, storage=storage).user_attrs.get(CREATED_AT_ATTRIBUTE)


def _fixed(choices: SpaceSpec) -> dict[str, Any]:
    """The parameters that have one value, but for `anneal`: that a trial has none of it says that nothing fades."""
    ranges = {"recipe.feature_share": choices.feature_share, "curve.prior": (0.0, *choices.similarity_weight)}
    named = {f"recipe.{name}": values for name, values in alternatives(choices).items() if name != "anneal"}
    return {name: values[0] for name, values in (ranges | named).items() if len(set(values)) == 1}


def _numbers(trial: Trial, fixed: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, BaseDistribution]]:
    """What a trial is: its settings, and the numbers of its depth curve if it is one; without what is fixed."""
    settings = {f"recipe.{name}": getattr(trial.recipe, name) for name in Settings._fields}
    curve = {f"curve.{name}": float(value) for name, value in trial.params.items() if isinstance(value, int | float)}
    params = {
        name: value for name, value in (settings | curve).items() if value is not None and value != fixed.get(name)
    }
    number = FloatDistribution(-LARGEST, LARGEST)
    named = {f"recipe.{name}": CategoricalDistribution(names) for name, names in NAMED_SETTINGS.items()}
    return params, {name: named.get(name, number) for name in params}


def _open(
    url: str,
    name: str,
    metric: str,
    direction: Literal["maximize", "minimize"],
    created_at: str,
    fixed: dict[str, Any],
) -> tuple[optuna.storages.RDBStorage, optuna.Study]:
    storage = optuna.storages.RDBStorage(url, engine_kwargs=_engine_options(url))
    if name in optuna.get_all_study_names(storage):
        known = optuna.load_study(study_name=name, storage=storage)
        if known.user_attrs.get(CREATED_AT_ATTRIBUTE) != created_at and known.get_trials(deepcopy=False):
            raise StoreError(f"the database holds a foreign Optuna study `{name}`; give the study file a new `name`")
    study = optuna.create_study(storage=storage, study_name=name, direction=direction, load_if_exists=True)
    study.set_user_attr(CREATED_AT_ATTRIBUTE, created_at)
    for parameter, value in fixed.items():
        study.set_user_attr(parameter, value)
    storage.scoped_session().autoflush = False  # all parameters of a trial are written in one statement
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([metric])
    return storage, study


def _engine_options(url: str) -> dict[str, object]:
    # a server that restarted closed its connections: each is tried before it is used
    return {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
