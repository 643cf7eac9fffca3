"""A thin adapter to Optuna: it owns the Optuna study and exchanges parameters and numbers only."""

import logging
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Literal, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from mapsearch.core.errors import DatabaseFailed, StoreError
from mapsearch.core.space_spec import SpaceSpec
from mapsearch.proposers.encoding import RISE_RANGE, Params

Space = Literal["curve", "free"]
Answer = TypeVar("Answer")

CREATED_AT_ATTRIBUTE = "mapsearch:created_at"
"""User attribute that identifies an Optuna study as that of our study."""

N_STARTUP = 10
"""Finished trials before TPE models anything; controls count."""


class Sampler:
    """Ask and tell on one Optuna study in the study database.

    One process per study uses it. It is told of the trials that the sampler can learn from: complete
    ones with their value, infeasible ones as a violated constraint, because a plain failure would be
    forgotten and proposed again.

    Args:
        guard: surrounds every exchange with the database: it waits for a server out of reach, and makes sure
            that this process is still the one. An exchange in which the database fails is tried once more.

    Raises:
        StoreError: the database holds a foreign Optuna study of that name.
    """

    def __init__(
        self,
        url: str,
        name: str,
        direction: Literal["maximize", "minimize"],
        choices: SpaceSpec,
        n_student: int,
        n_teacher: int,
        kind: Literal["tpe", "random"],
        seed: int,
        created_at: str,
        guard: Callable[[], AbstractContextManager[None]],
    ) -> None:
        logging.getLogger("optuna").setLevel(logging.WARNING)
        self._space = distributions(choices, n_student, n_teacher)
        self._kind, self._seed, self._guard = kind, seed, guard
        self._storage, self._study = self._exchange(lambda: _open(url, name, direction, seed, created_at))

    def close(self) -> None:
        """Close the connections to the database: SQLite keeps what was written in a file beside it until the last."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def ask(self, space: Space, draw: int, trial: int) -> tuple[int, Params]:
        """A new number and parameters for that mapsearch trial; the same `draw` on the same history repeats them."""

        def ask() -> tuple[int, Params]:
            for lost in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                if lost.user_attrs.get("trial", trial) == trial:  # asked before the database failed
                    self._forget(lost.number)
            self._study.sampler = self._sampler(draw)
            asked = self._study.ask(self._space[space])
            asked.set_user_attr("trial", trial)
            return asked.number, dict(asked.params)

        return self._exchange(ask)

    def tell(self, number: int, value: float | None) -> None:
        """Report an asked trial's value; None means infeasible. Telling twice changes nothing."""

        def tell() -> None:
            trial = self._study.get_trials(deepcopy=False)[number]
            if trial.state != TrialState.RUNNING:
                return
            if value is None:  # a constraint can only be set on a new trial: a copy replaces the asked one
                self._add(trial.params, None, trial.user_attrs["trial"])  # first, so that a retry mends a crash here
                self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)
            else:
                self._study.tell(number, value, skip_if_finished=True)

        self._exchange(tell)

    def add(self, params: Params, value: float | None, trial: int) -> int:
        """Report a recipe that was not asked for, such as a control; once per mapsearch trial number and outcome.

        A trial may have another outcome later: the cause was mended, and its runs were tried again.
        """
        return self._exchange(lambda: self._add(params, value, trial))

    def forget(self, number: int) -> None:
        """Close an asked trial that crashed: its parameters are not to blame and may be proposed again."""
        self._exchange(lambda: self._forget(number))

    def forget_all_but(self, numbers: Iterable[int]) -> int:
        """Fail running trials that no trial of ours refers to: left over from a crash, they would repel the sampler."""
        known = set(numbers)

        def forget() -> int:
            lost = [t.number for t in self._study.trials if t.state == TrialState.RUNNING and t.number not in known]
            for number in lost:
                self._forget(number)
            return len(lost)

        return self._exchange(forget)

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

    def _add(self, params: Params, value: float | None, trial: int) -> int:
        done = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        for known in done:
            known_value = None if known.constraints.get("infeasible", 0.0) > 0 else known.value
            if known.user_attrs.get("trial") == trial and known_value == value:
                return known.number
        space = self._space["curve" if "lo" in params else "free"]
        rising = self._study.direction == StudyDirection.MAXIMIZE
        worst = (min if rising else max)((t.value for t in done if t.value is not None), default=0.0)
        self._study.add_trial(
            create_trial(
                params=params,
                distributions={key: space[key] for key in params},
                value=worst if value is None else value,
                user_attrs={"trial": trial},
                constraints={"infeasible": float(value is None)},
            )
        )
        return len(self._study.get_trials(deepcopy=False)) - 1

    def _forget(self, number: int) -> None:
        self._study.tell(number, state=TrialState.FAIL, skip_if_finished=True)

    def _sampler(self, draw: int) -> BaseSampler:
        seed = (self._seed * 1_000_003 + draw) % 2**32
        if self._kind == "random":
            return RandomSampler(seed=seed)
        with warnings.catch_warnings():
            # `group` is marked experimental; without it parameters of two spaces are silently sampled independently
            warnings.simplefilter("ignore", ExperimentalWarning)
            return TPESampler(
                seed=seed,
                n_startup_trials=N_STARTUP,
                n_ei_candidates=24,
                multivariate=True,
                group=True,
                constant_liar=True,
            )


def _open(
    url: str, name: str, direction: Literal["maximize", "minimize"], seed: int, created_at: str
) -> tuple[optuna.storages.RDBStorage, optuna.Study]:
    storage = optuna.storages.RDBStorage(url, engine_kwargs=_engine_options(url))
    if name in optuna.get_all_study_names(storage):
        known = optuna.load_study(study_name=name, storage=storage)
        if known.user_attrs.get(CREATED_AT_ATTRIBUTE) != created_at and known.get_trials(deepcopy=False):
            raise StoreError(f"the database holds a foreign Optuna study `{name}`; give the study file a new `name`")
    study = optuna.create_study(
        storage=storage, study_name=name, direction=direction, load_if_exists=True, sampler=RandomSampler(seed=seed)
    )
    study.set_user_attr(CREATED_AT_ATTRIBUTE, created_at)
    return storage, study


def create_tables(url: str) -> None:
    """Makes Optuna's tables in the study database if they are not there; one process at a time may call it."""
    storage = optuna.storages.RDBStorage(url, engine_kwargs=_engine_options(url))
    storage.remove_session()
    storage.engine.dispose()


def distributions(choices: SpaceSpec, n_student: int, n_teacher: int) -> dict[Space, dict[str, BaseDistribution]]:
    """The parameters of both spaces with their ranges."""
    shared: dict[str, BaseDistribution] = {
        "feature_share": FloatDistribution(*choices.feature_share),
        "loss": CategoricalDistribution(choices.loss),
        "projector": CategoricalDistribution(choices.projector),
        "aggregation": CategoricalDistribution(choices.aggregation),
        "balance": CategoricalDistribution(choices.balance),
        "anneal": CategoricalDistribution(choices.anneal),
        "lr": CategoricalDistribution(choices.lr),
    }
    curve: dict[str, BaseDistribution] = {
        "lo": FloatDistribution(0.0, 1.0),
        "rise": FloatDistribution(*RISE_RANGE),
        "gamma": FloatDistribution(1 / 3, 3.0, log=True),
        "width": FloatDistribution(*choices.width, log=True),
        "similarity_weight": FloatDistribution(*choices.similarity_weight),
        "max_teachers": IntDistribution(1, min(choices.max_teachers, n_teacher)),
        "slope": FloatDistribution(-3.0, 3.0),
    }
    free: dict[str, BaseDistribution] = {f"teacher_{s}": IntDistribution(0, n_teacher) for s in range(n_student)}
    return {"curve": shared | curve, "free": shared | free}


def _engine_options(url: str) -> dict[str, object]:
    # a server that restarted closed its connections: each is tried before it is used
    return {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else {"pool_pre_ping": True}
