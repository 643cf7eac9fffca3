"""What a study that is about to be launched will take and can see, as far as earlier studies of its folder tell."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev

from mapsearch import search
from mapsearch.api import queries
from mapsearch.core.budget import PRESETS, full_runs
from mapsearch.core.errors import StoreError
from mapsearch.core.forecast import StageForecast
from mapsearch.core.looks import VISIBLE_GAIN
from mapsearch.core.spec import StudySpec
from mapsearch.core.studies import Study
from mapsearch.core.study_file import parse_study, read_text

LEAST_SEEDS = 4
MOST_BEST = 20
"""Proposals among which the nominee is: confirmed ones come first."""

MOST_EARLIER = 20
"""Studies, the newest ones, among which one of the same folder is looked for."""


@dataclass(frozen=True)
class BudgetSight:
    """What a budget, in full runs, can see: a gain of `visible` standard deviations of a paired difference."""

    budget: int
    n_seeds: int
    visible: float


@dataclass(frozen=True)
class EarlierStudy:
    """What a finished study of the folder, in the same metric, tells.

    `paired_sd` is the standard deviation of the nominee's gain over `outputs` between fresh seeds, `step_seconds` what
    an optimizer step took of device time.
    """

    name: str
    paired_sd: float
    step_seconds: float


@dataclass(frozen=True)
class LaunchPlan:
    """A study before its start: its runs at most, what its budget and others see, and what an earlier study tells.

    `taken` says that there is a study of that name.
    """

    spec: StudySpec
    stages: tuple[StageForecast, ...]
    sight: BudgetSight
    others: tuple[BudgetSight, ...]
    earlier: EarlierStudy | None
    taken: bool

    @property
    def n_runs(self) -> int:
        """Runs, at most."""
        return sum(stage.n_runs for stage in self.stages)

    @property
    def n_steps(self) -> int:
        """Their optimizer steps."""
        return sum(stage.n_runs * stage.n_steps for stage in self.stages)

    @property
    def full_runs(self) -> float:
        """The same in full-run equivalents."""
        return self.n_steps / self.spec.train.steps

    @property
    def device_seconds(self) -> float | None:
        """What they take, at most; None where no earlier study tells."""
        return None if self.earlier is None else self.n_steps * self.earlier.step_seconds

    @property
    def gain(self) -> float | None:
        """The gain that is seen with 80 %, in units of the metric; None where no earlier study tells the noise."""
        return None if self.earlier is None else self.sight.visible * self.earlier.paired_sd


def launch_plan(path: Path, settings: Sequence[str], storage: str) -> LaunchPlan:
    """The plan of a study; nothing is stored, no task is loaded.

    Args:
        path: its study file.
        settings: keys set beside the file, such as `train.lr=2.0e-3`.

    Raises:
        SpecError: the file or a setting breaks the schema.
    """
    text = read_text(path)
    spec = parse_study(text, path, settings)
    stages = search.forecast_stages(spec)
    others = {full_runs(name) for name in PRESETS} - {full_runs(spec.budget)}
    sights = [_sight(parse_study(text, path, [*settings, f"budget={budget}"])) for budget in sorted(others)]
    earlier, taken = _earlier(spec, storage)
    return LaunchPlan(spec, stages, _sight(spec), tuple(sights), earlier, taken)


def _sight(spec: StudySpec) -> BudgetSight:
    stages = search.forecast_stages(spec)
    before = sum(stage.n_runs * stage.n_steps for stage in stages if stage.stage != "confirm") / spec.train.steps
    n_seeds = search.n_seeds_affordable(spec, before)
    return BudgetSight(full_runs(spec.budget), n_seeds, VISIBLE_GAIN[n_seeds])


def _earlier(spec: StudySpec, storage: str) -> tuple[EarlierStudy | None, bool]:
    """The newest finished study of the folder in the same metric, and whether the name is taken."""
    try:
        listed = queries.list_studies(storage)
        taken = any(study.name == spec.name for study in listed)
        candidates = (queries.study(study.name, storage) for study in listed[:MOST_EARLIER] if study.sentence)
        told = (_told_by(study, storage) for study in candidates if _is_alike(study, spec))
        return next(filter(None, told), None), taken
    except StoreError:  # none yet, or out of reach: then nothing is known of earlier studies
        return None, False


def _is_alike(study: Study, spec: StudySpec) -> bool:
    same = study.spec.get("metric") == spec.metric and study.spec.get("options") == spec.options
    return same and Path(study.folder).resolve() == spec.folder.resolve()


def _told_by(study: Study, storage: str) -> EarlierStudy | None:
    """What the study tells; None where its nominee and `outputs` have too few fresh seeds in common."""
    found, verdict = queries.overview(study.name, storage, MOST_BEST), study.facts.verdict
    values = {trial.number: dict(zip(trial.confirmed_seeds, trial.confirmed, strict=True)) for trial in found.trials}
    nominee = values.get(verdict.nominee if verdict and verdict.nominee is not None else -1, {})
    outputs = next((values[trial.number] for trial in found.trials if trial.control == "outputs"), {})
    differences = [nominee[seed] - outputs[seed] for seed in nominee.keys() & outputs.keys()]
    if len(differences) < LEAST_SEEDS or not found.cost.n_steps:
        return None
    return EarlierStudy(study.name, stdev(differences), found.cost.device_seconds / found.cost.n_steps)
