"""All checks in the order in which one builds on another: a loaded task and a study in, a CheckReport out."""

from typing import Any

from torch import nn

from mapsearch.check.copied_layers import check_copied
from mapsearch.check.cost import forecast
from mapsearch.check.data import check_data
from mapsearch.check.finding_log import FindingLog
from mapsearch.check.labels import check_items, check_unlabelled_values
from mapsearch.check.layers import check_layers, check_mixtures, check_pairs
from mapsearch.check.learning import check_gradients, check_itself
from mapsearch.check.metrics import check_batching, check_guessing, check_metrics
from mapsearch.check.networks import check_outputs, check_student, check_teacher, read_outputs
from mapsearch.check.padding import check_padding
from mapsearch.core.default_metric import with_default_metric
from mapsearch.core.errors import CheckFailed
from mapsearch.core.findings import CheckReport
from mapsearch.core.metric_direction import direction_notice
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.features.kinds import require_known_layers
from mapsearch.tasks.batches import ordered_batches
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.output_evidence import N_SAMPLES
from mapsearch.tasks.training_batches import train_batches


def check(loaded: LoadedTask, spec: StudySpec) -> CheckReport:
    """Establish on one real batch that everything that must learn, learns; forecast what the study will cost.

    Never raises for what it can report: an exception of the user's code becomes a finding.
    """
    log = FindingLog()
    log.measured["redraws"] = loaded.redraws
    with log.guard("outputs", "reading the outputs of both networks"):
        batch = next(ordered_batches(loaded, loaded.train, N_SAMPLES, N_SAMPLES))
        check_items(log, loaded.task, batch)
        read_outputs(log, loaded, spec)
        check_unlabelled_values(log, loaded.task, batch)
        spec = _with_metric(log, loaded, spec)
    check_data(log, loaded, spec)
    student = check_student(log, loaded, spec)
    with log.guard("teacher", "looking at its weights"):
        check_teacher(log, loaded, spec)
    if "outputs" in log.measured:  # outputs that nobody can read cannot be measured either
        check_metrics(log, loaded, spec, student)
        with log.guard("teacher", "measuring it at another batch size"):
            check_batching(log, loaded, spec)
        with log.guard("teacher", "comparing it with guessing"):
            check_guessing(log, loaded, spec)
    space = None
    with log.guard("data", "reading a training batch"):
        batch = next(train_batches(loaded, spec.train.batch_size, spec.seed, 1))
        space = _check_together(log, loaded, spec, student, batch) if student is not None else None
    student_layers, teacher_layers = (space.student, space.teacher) if space else ((), ())
    return CheckReport(tuple(log.findings), student_layers, teacher_layers, seconds=log.seconds, **log.measured)


def _with_metric(log: FindingLog, loaded: LoadedTask, spec: StudySpec) -> StudySpec:
    """The study with the metric that its outputs have by default, which is said; as it is where it states one."""
    decided = with_default_metric(spec, loaded.task.output_form)
    if "metric" not in spec.model_fields_set:
        default = f"`metric: {decided.metric}` and `direction: {decided.direction}`"
        log.add("ok", "outputs.metric", f"{default}, as outputs of this kind have it; state `metric` for another")
        if notice := direction_notice(decided.metric, decided.direction, stated=True):
            log.add("warning", "outputs.direction", notice)
    return decided


def raise_for_errors(report: CheckReport) -> None:
    """Make sure that the study can run.

    Raises:
        CheckFailed: the report holds errors; all of them at once.
    """
    if report.errors:
        raise CheckFailed(*(f"{finding.topic}: {finding.message}" for finding in report.errors))


def _check_together(
    log: FindingLog, loaded: LoadedTask, spec: StudySpec, student: nn.Module, batch: Any
) -> RecipeSpace | None:
    if not log.has_errors("outputs"):
        with log.guard("outputs", "`forward` of both networks"):
            check_outputs(log, loaded, spec, student, batch)
    s_layers = check_layers(log, loaded, spec, "student", student, batch)
    t_layers = check_layers(log, loaded, spec, "teacher", loaded.teacher, batch)
    if s_layers is None or t_layers is None:
        return None
    with log.guard("layers", "`layers.kinds`"):
        require_known_layers(spec.layers.kinds, [*s_layers.listed, *t_layers.listed])
    space = RecipeSpace(s_layers.chosen, t_layers.chosen)
    if not log.has_errors("outputs"):
        with log.guard("padding", "`mask(batch)`"):
            check_padding(log, loaded, spec, space, batch)
    with log.guard("layers", "comparing the weights of both networks"):
        check_copied(log, loaded, student, space)
    with log.guard("self-test", "the teacher against itself"):
        check_itself(log, loaded, spec, space.teacher)
    if log.has_errors("teacher", "layers", "outputs"):
        return space  # gradients would only show the same problem again
    recipes = check_pairs(log, spec, space, loaded.task.output_form)
    check_mixtures(log, spec, space)
    for recipe in recipes:
        with log.guard("gradients", f"a training step with {recipe.loss}"):
            check_gradients(log, loaded, spec, space, recipe, batch, s_layers.overwritten)
    with log.guard("forecast", "timing a training step"):
        if recipes and not log.has_errors():
            forecast(log, loaded, spec, space, recipes[0], batch, s_layers.overwritten)
    return space
