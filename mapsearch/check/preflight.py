"""All checks in the order in which one builds on another: a bench and a study in, a CheckReport out."""

from typing import Any

from torch import nn

from mapsearch.check.cost import forecast
from mapsearch.check.data import check_data, check_padding
from mapsearch.check.layers import check_layers, check_mixtures, check_pairs
from mapsearch.check.learning import check_gradients, check_itself
from mapsearch.check.networks import check_logits, check_metrics, check_student, check_teacher
from mapsearch.check.notebook import Notebook
from mapsearch.core.errors import CheckFailed
from mapsearch.core.findings import CheckReport
from mapsearch.core.space import RecipeSpace
from mapsearch.core.spec import StudySpec
from mapsearch.features.kinds import demand_kinds
from mapsearch.tasks.batches import train_batches
from mapsearch.tasks.loading import Bench


def check(bench: Bench, spec: StudySpec) -> CheckReport:
    """Establish on one real batch that everything that must learn, learns; forecast what the study will cost.

    Never raises for what it can report: an exception of the user's code becomes a finding.
    """
    book = Notebook()
    check_data(book, bench, spec)
    student = check_student(book, bench, spec)
    check_teacher(book, bench)
    check_metrics(book, bench, spec, student)
    space = None
    with book.guard("data", "reading a training batch"):
        batch = next(train_batches(bench, spec.train.batch_size, spec.seed, 1))
        space = _check_together(book, bench, spec, student, batch) if student is not None else None
    student_layers, teacher_layers = (space.student, space.teacher) if space else ((), ())
    return CheckReport(tuple(book.findings), student_layers, teacher_layers, seconds=book.seconds, **book.measured)


def demand(report: CheckReport) -> None:
    """Make sure that the study can run.

    Raises:
        CheckFailed: the report holds errors; all of them at once.
    """
    if report.errors:
        raise CheckFailed(*(f"{finding.what}: {finding.message}" for finding in report.errors))


def _check_together(
    book: Notebook, bench: Bench, spec: StudySpec, student: nn.Module, batch: Any
) -> RecipeSpace | None:
    with book.guard("logits", "`forward` of both networks"):
        check_logits(book, bench, student, batch)
    s_layers = check_layers(book, bench, spec, "student", student, batch)
    t_layers = check_layers(book, bench, spec, "teacher", bench.teacher, batch)
    if s_layers is None or t_layers is None:
        return None
    with book.guard("layers", "`layers.kinds`"):
        demand_kinds(spec.layers.kinds, [*s_layers.listed, *t_layers.listed])
    space = RecipeSpace(s_layers.chosen, t_layers.chosen)
    with book.guard("padding", "`mask(batch)`"):
        check_padding(book, bench, space, batch)
    with book.guard("self-test", "the teacher against itself"):
        check_itself(book, bench, spec, space.teacher)
    if any(finding.what in ("teacher", "layers") for finding in book.findings if finding.level == "error"):
        return space  # the cause is told: what it does to gradients says nothing more
    recipes = check_pairs(book, spec, space)
    check_mixtures(book, spec, space)
    for recipe in recipes:
        with book.guard("gradients", f"a training step with {recipe.loss}"):
            check_gradients(book, bench, spec, space, recipe, batch, s_layers.overwritten)
    with book.guard("forecast", "timing a training step"):
        if recipes and not book.has_errors:
            forecast(book, bench, spec, space, recipes[0], batch, s_layers.overwritten)
    return space
