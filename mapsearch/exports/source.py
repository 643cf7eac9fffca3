"""ExportSource: all that any target writes of a trial, and where it comes from; made from a stored study."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from mapsearch.core.errors import ExportError
from mapsearch.core.facts import Network
from mapsearch.core.layers import Layer
from mapsearch.core.outputs import CLASS_SCORES, Outputs
from mapsearch.core.recipe import Recipe
from mapsearch.core.runs import Run
from mapsearch.core.studies import Study
from mapsearch.core.study_file import stored_study
from mapsearch.core.training_settings import TrainingSettings, training_settings
from mapsearch.core.trials import Trial


@dataclass(frozen=True)
class ExportSource:
    """One trial of a study, as its reference run trained it.

    The reference run is the trial's complete run at the highest rung with the lowest seed. `scales`
    and `first_loss` are that run's; `scales` has one value per term, in the order of `recipe.feature_terms`;
    `norms` and `mixed_weights` are per pair (see `RunResult`). `values` are the metric of all complete
    runs at that rung. `student` and `teacher` hold the layers of the recipe's pairs. `verdict` is a
    sentence. `unsupported` says, in sentences, what the target cannot express; `outputs` how the task's outputs are
    read; `settings` how the trial was trained.
    """

    study: str
    trial: int
    recipe: Recipe
    student: tuple[Layer, ...]
    teacher: tuple[Layer, ...]
    scales: tuple[float, ...]
    norms: tuple[float, ...]
    mixed_weights: tuple[float, ...]
    seed: int
    n_steps: int
    first_loss: float
    verdict: str
    values: tuple[float, ...]
    mapsearch_version: str
    torch_version: str
    unsupported: tuple[str, ...] = ()
    outputs: Outputs = CLASS_SCORES
    settings: TrainingSettings = field(kw_only=True)

    @property
    def provenance(self) -> tuple[str, ...]:
        """Where the file comes from, in lines for its header."""
        pairs = zip(self.recipe.mapping.pairs, self.mixed_weights, strict=False)
        mixed = ", ".join(f"{weight:.3g} {pair.student} <- {pair.teacher}" for pair, weight in pairs)
        n_runs = f"{len(self.values)} run{'s' * (len(self.values) > 1)} of {self.n_steps} steps"
        spread = f"{min(self.values):.4g} to {max(self.values):.4g}, {n_runs}"
        return (
            f"study: {self.study}, trial {self.trial}, reference seed {self.seed}",
            f"recipe: {self.recipe}",
            f"trained: {self._training}",
            *([f"outputs: {self.outputs.form}"] if self.recipe.uses_outputs and self.outputs.form else []),
            *([f"learned weights, averaged over the reference run: {mixed}"] if mixed else []),
            f"verdict: {self.verdict}",
            f"{self.settings.metric}: {fmean(self.values):.4g} ({spread})",
            f"versions: mapsearch {self.mapsearch_version}, torch {self.torch_version}",
            "direction: student <- teacher",
            *(f"unsupported: {sentence}" for sentence in self.unsupported),
        )

    @property
    def _training(self) -> str:
        """How the trial was trained, in a sentence; a target's own examples say less."""
        train = self.settings.train
        batches = f"{train.accumulate} batches" if train.accumulate > 1 else "a batch"
        return (
            f"{self.n_steps} steps of {batches} of {train.batch_size}, {train.optimizer}, "
            f"lr {train.lr * self.recipe.lr_factor:.6g}, projectors x {train.projector_lr:g}, "
            f"weight decay {train.weight_decay:g}, warm-up {train.warmup:g}, then {train.schedule}, "
            f"gradient norm at most {train.max_grad_norm:g}, precision {train.precision}"
            f"{f', measured with ema {train.ema:g}' if train.ema else ''}"
        )


def multipliers(recipe: Recipe, scales: Sequence[float]) -> tuple[float, ...]:
    """What each term's raw loss is multiplied by before it fades: `feature_share * weight / scale`, `[P]`."""
    terms = recipe.feature_terms
    return tuple(recipe.feature_share * term.weight / scale for term, scale in zip(terms, scales, strict=True))


def export_source(
    study: Study, trials: Sequence[Trial], runs: Sequence[Run], number: int | None = None
) -> ExportSource:
    """What is exported of a trial.

    Args:
        number: the trial; None takes the verdict's recommendation, else its nominee, else the best one so far.

    Raises:
        ExportError: the study has no such trial, or it has no complete run.
    """
    verdict = study.facts.verdict
    if number is None and verdict is not None:
        number = verdict.exported
    if number is None:
        number = _best(study, runs)
    sentence = verdict.sentence if verdict else "none yet, the study is not finished"
    trial = _trial(study, trials, number)
    peers = _reference_runs(study, runs, number)
    reference, _ = peers[0]
    result = reference.result
    assert result is not None
    assert result.first_loss is not None, "a complete run has made a first step"
    mapping, environment = trial.recipe.mapping, study.facts.environment
    return ExportSource(
        study.name, number, trial.recipe.acting_until(study.spec.get("train", {}).get("features_until", 1.0)),
        _layers(study, "student", mapping.student_layers), _layers(study, "teacher", mapping.teacher_layers),
        result.scales, result.norms, result.mixed_weights, reference.seed, reference.n_steps, result.first_loss,
        sentence, tuple(value for _, value in peers), environment["mapsearch"], environment["torch"],
        outputs=study.facts.outputs,
        settings=training_settings(stored_study(study.spec, study.folder), study.facts.margin),
    )  # fmt: skip


def _best(study: Study, runs: Sequence[Run]) -> int:
    """The trial with the best mean at the highest rung that any run has finished."""
    values: dict[int, list[float]] = {}
    for run, value in _longest(runs):
        values.setdefault(run.trial, []).append(value)
    if not values:
        raise ExportError(f"study `{study.name}` has no complete run yet; resume it with `mapsearch run`")
    sign = 1.0 if study.spec["direction"] == "maximize" else -1.0
    return max(values, key=lambda number: (sign * fmean(values[number]), -number))


def _trial(study: Study, trials: Sequence[Trial], number: int) -> Trial:
    by_number = {trial.number: trial for trial in trials}
    if number not in by_number:
        known = f"its trials are 0 to {study.n_trials - 1}" if study.n_trials else "it has no trials yet"
        raise ExportError(
            f"study `{study.name}` has no trial {number}; {known}, `mapsearch show {study.name}` lists them"
        )
    return by_number[number]


def _reference_runs(study: Study, runs: Sequence[Run], number: int) -> list[tuple[Run, float]]:
    """The trial's complete runs at its highest rung, by seed, with their values."""
    own = [run for run in runs if run.trial == number]
    if not (peers := _longest(own)):
        states = ", ".join(sorted({run.state for run in own})) or "none was planned"
        raise ExportError(
            f"trial {number} of study `{study.name}` must have a complete run to be exported, but has none "
            f"({states}); choose another with --trial, `mapsearch show {study.name}` lists them"
        )
    return peers


def _longest(runs: Sequence[Run]) -> list[tuple[Run, float]]:
    """The complete ones at the highest rung that one of them has, by seed, with their values."""
    complete = [(run, run.value) for run in runs if run.state == "complete" and run.value is not None]
    highest = max((run.rung for run, _ in complete), default=0)
    return sorted((one for one in complete if one[0].rung == highest), key=lambda one: one[0].seed)


def _layers(study: Study, network: Network, paths: Sequence[str]) -> tuple[Layer, ...]:
    layers = {layer.path: layer for layer in study.facts.layers[network]}
    return tuple(layers[path] for path in paths)
