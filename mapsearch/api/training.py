"""The final student of a study or of a recipe file: trained, measured and written."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from mapsearch.api.queries import read_for_export
from mapsearch.controller.interrupt import Interrupt
from mapsearch.core.errors import ExportError, MapsearchError
from mapsearch.core.events import Message, Progress
from mapsearch.core.execution import Execution
from mapsearch.core.folders import cache_folder
from mapsearch.core.metrics import storable
from mapsearch.core.runs import RunPlan
from mapsearch.core.space import RecipeSpace
from mapsearch.core.studies import DEFAULT_STORAGE
from mapsearch.core.study_file import parse_section
from mapsearch.core.task_reference import TaskReference
from mapsearch.core.text import printable_json
from mapsearch.core.trained import Keep, TrainReport, TrainRequest, Validation
from mapsearch.exports import recipe_file
from mapsearch.exports.render import mapsearch_yaml
from mapsearch.exports.source import ExportSource, export_source
from mapsearch.report.model_card import model_card
from mapsearch.report.pictures import plot_training
from mapsearch.tasks.devices import environment
from mapsearch.tasks.evaluation import Evaluator
from mapsearch.tasks.importing import import_task
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.loading import load_task
from mapsearch.trainer import TrainedStudent, folder, train_student
from mapsearch.trainer.accelerated import open_processes
from mapsearch.trainer.checkpoint_file import CheckpointFile, require_same

Update = Message | Progress | Validation | nn.Module | TrainReport

PICTURE = "losses.png"
FULL_RUNG = 2
VALIDATIONS = 10
"""How often a student is measured on its way."""
MOST_STEPS_AT_RISK = 500
"""Steps between two checkpoints, at most."""


def train(
    source: str | Path,
    *,
    trial: int | None = None,
    output: Path | str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    keep: Keep = "last",
    device: str | None = None,
    shard: bool = False,
    storage: str = DEFAULT_STORAGE,
    on_event: Callable[[Update], None] | None = None,
) -> nn.Module:
    """The student of a study's trial or of a recipe file, trained; in evaluation mode, on its device.

    Args:
        source: the name of a study, or the path of a recipe that `mapsearch export --to mapsearch` wrote.
        trial: of the study; None takes the one that its verdict recommends, or else its nominee.
        output: a folder for the student and its checkpoints; the same call with the same folder goes on where an
            earlier one ended. None writes nothing.
        steps: of the optimizer; None takes the full schedule.
        seed: None takes that of the trial's reference run, and the student is that run's to rounding.
        keep: the weights of the last step, as the study measured them, or those that were best on the validation data.
        device: None takes that of the study.
        shard: in each of several processes keep a part of the weights only, of student and teacher.
        on_event: called with everything that happens: messages, progress, validations, the student and its report.

    Raises:
        MapsearchError: the study, the recipe or the task cannot be used, or the training could not be finished.
        KeyboardInterrupt: it was stopped by a signal; its checkpoint is saved.
    """
    student: nn.Module | None = None
    for update in train_updates(
        source,
        trial=trial,
        output=output,
        steps=steps,
        seed=seed,
        keep=keep,
        device=device,
        shard=shard,
        storage=storage,
    ):
        if on_event is not None:
            on_event(update)
        student = update if isinstance(update, nn.Module) else student
    assert student is not None
    return student


def train_updates(
    source: str | Path,
    *,
    trial: int | None = None,
    output: Path | str | None = None,
    steps: int | None = None,
    seed: int | None = None,
    keep: Keep = "last",
    device: str | None = None,
    shard: bool = False,
    storage: str = DEFAULT_STORAGE,
) -> Iterator[Update]:
    """`train` as an iterator of what happens, the student and the report last."""
    found, execution = _source(source, trial, storage)
    if device is not None:
        execution = parse_section(Execution, {**execution.model_dump(), "devices": device})
    request = _request(found, steps, seed, keep)
    training = _training(found, request)
    task = found.settings.task_reference(cache_folder(storage, found.study))
    if output is None:
        with Interrupt() as interrupt:
            yield from _train(found, task, execution, request, None, interrupt, shard=shard)
        return
    file = CheckpointFile(Path(output), training)
    folder.make_folder(file.folder)
    if (report := folder.read_report(file.folder)) is not None:
        require_same(file.folder, report.training, training)
        yield Message("train", f"{file.folder} holds this student already")
        yield folder.read_student(file.folder, import_task(task).student())
        yield report
        return
    with Interrupt() as interrupt:
        yield from _train(found, task, execution, request, file, interrupt, shard=shard)


def _train(
    source: ExportSource, task: TaskReference, execution: Execution, request: TrainRequest, file: CheckpointFile | None,
    interrupt: Interrupt, *, shard: bool,
) -> Iterator[Update]:  # fmt: skip
    yield Message("load", f"data and networks of {task.name}")
    processes, device = open_processes(execution.first_device, shards=shard)
    loaded = load_task(task, execution.model_copy(update={"devices": (device,)}) if processes.n > 1 else execution)
    loaded.task.output_form = source.outputs
    yield from loaded.messages
    plan = RunPlan(source.trial, source.recipe, FULL_RUNG, request.seed, "confirm", "test", request.n_steps)
    trained: TrainedStudent | None = None
    for update in train_student(
        loaded, RecipeSpace(source.student, source.teacher), source.settings, plan, request,
        first_loss=source.first_loss if request.seed == source.seed else None,
        file=file, processes=processes, is_stopped=lambda: interrupt.is_asked,
    ):  # fmt: skip
        if isinstance(update, TrainedStudent):
            trained = update
        else:
            yield update
    assert trained is not None
    report = _report(loaded, source, request, trained)
    if file is not None and processes.rank == 0:
        yield from _write(file.folder, source, report, trained)
        file.remove()
    yield trained.student
    yield report


def _source(source: str | Path, trial: int | None, storage: str) -> tuple[ExportSource, Execution]:
    """What is trained, and where its study ran."""
    if Path(source).suffix in (".yaml", ".yml"):
        if trial is not None:
            raise ExportError(f"{source} holds one recipe; leave out --trial, or name the study instead of the file")
        return recipe_file.read(Path(source)), parse_section(Execution, {})
    if Path(source).suffix == ".py" and Path(source).is_file():
        message = "is a program; `mapsearch export NAME --to mapsearch -o recipe.yaml` writes what can be trained here"
        raise ExportError(f"{source} {message}")
    study, trials, runs = read_for_export(str(source), storage, trial)
    return export_source(study, trials, runs, trial), parse_section(Execution, study.spec["execution"])


def _request(source: ExportSource, steps: int | None, seed: int | None, keep: Keep) -> TrainRequest:
    n_steps = max(source.settings.train.steps, source.n_steps) if steps is None else steps
    every = max(1, -(-n_steps // VALIDATIONS))
    return TrainRequest(n_steps, source.seed if seed is None else seed, every, min(every, MOST_STEPS_AT_RISK), keep)


def _training(source: ExportSource, request: TrainRequest) -> dict[str, Any]:
    """What is trained: two trainings with equal ones give the same student, measured alike."""
    settings = source.settings.to_json()
    return {
        "study": source.study,
        "trial": source.trial,
        "recipe": str(source.recipe),
        "fingerprint": source.recipe.fingerprint,
        "task": source.settings.task.rpartition("/")[2],
        "options": settings["options"] or None,
        "metric": settings["metric"],
        "direction": settings["direction"],
        "outputs": printable_json(replace(source.outputs, why="").to_json()),
        "steps": request.n_steps,
        "seed": request.seed,
        "keep": request.keep,
        **{key: value for key, value in settings["train"].items() if key != "steps"},
    }


def _report(loaded: LoadedTask, source: ExportSource, request: TrainRequest, trained: TrainedStudent) -> TrainReport:
    evaluator, student, teacher = Evaluator(loaded, source.settings.train), {}, {}
    for name, data in (("valid", loaded.valid), ("test", loaded.test)):
        measured = evaluator.measure([trained.student, loaded.teacher], data)
        student[name], teacher[name] = (storable(metrics) for metrics in measured)
    return TrainReport(
        _training(source, request), source.settings.metric, trained.kept_step, student, teacher, trained.first_loss,
        trained.curve, trained.validations, trained.seconds, environment(loaded.device),
    )  # fmt: skip


def _write(target: Path, source: ExportSource, report: TrainReport, trained: TrainedStudent) -> Iterator[Message]:
    """Everything but the checkpoint; `metrics.json` last: where it is, the rest is."""
    written = folder.write_student(target, trained.student)
    folder.write_projectors(target, trained.loss)
    picture = ""
    try:
        plot_training(report, target / PICTURE)
        picture = PICTURE
    except MapsearchError as error:
        yield Message("write", f"no picture of the losses: {error}")
    card = model_card(
        report, source.recipe, source.settings, source.verdict,
        is_hugging_face=written != (folder.WEIGHTS,), picture=picture,
    )  # fmt: skip
    texts = {"recipe.yaml": mapsearch_yaml.text(source, target), "README.md": card}
    folder.write_texts(target, {**texts, folder.METRICS: printable_json(report.to_json()) + "\n"})
    yield Message("write", f"{', '.join((*written, *texts, folder.METRICS))} in {target}")
