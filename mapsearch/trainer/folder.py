"""The folder of a trained student: its weights, how they came about, and a model card."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any, cast

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from torch import nn

from mapsearch.core.errors import TrainingFailed
from mapsearch.core.trained import TrainReport
from mapsearch.trainer.files import replaced, write_text

WEIGHTS = "student.safetensors"
PROJECTORS = "projectors.safetensors"
METRICS = "metrics.json"
UNFINISHED = ".student.unfinished"
"""Where a model of Hugging Face writes itself, until all of it is there."""


def write_student(folder: Path, student: nn.Module) -> tuple[str, ...]:
    """Write the bare student; one of Hugging Face as `from_pretrained` takes it. Returns the names of the files.

    Raises:
        TrainingFailed: they cannot be written.
    """
    with _in_words(folder):
        if not hasattr(student, "save_pretrained"):
            _save(student, folder / WEIGHTS)
            return (WEIGHTS,)
        unfinished = folder / UNFINISHED
        rmtree(unfinished, ignore_errors=True)  # of a process that was killed here
        try:
            with _without_bars():
                cast(Any, student).save_pretrained(unfinished)
            written = sorted(path for path in unfinished.iterdir() if path.name != "README.md")
            for path in written:
                with replaced(folder / path.name) as whole:
                    os.replace(path, whole)
            return tuple(path.name for path in written)
        finally:
            rmtree(unfinished, ignore_errors=True)


def write_projectors(folder: Path, loss: nn.Module) -> tuple[str, ...]:
    """Write what the loss has learned, apart from the student, which does without it.

    Raises:
        TrainingFailed: it cannot be written.
    """
    if not any(True for _ in loss.parameters()):
        return ()
    with _in_words(folder):
        _save(loss, folder / PROJECTORS)
    return (PROJECTORS,)


def write_texts(folder: Path, texts: dict[str, str]) -> None:
    """Write files of text.

    Raises:
        TrainingFailed: one cannot be written.
    """
    with _in_words(folder):
        for name, text in texts.items():
            write_text(folder / name, text)


@contextmanager
def _without_bars() -> Iterator[None]:
    """While transformers writes or reads a model it draws a bar of its own, in the middle of ours."""
    told = getattr(sys.modules.get("transformers"), "logging", None)
    if told is None or not told.is_progress_bar_enabled():
        yield
        return
    told.disable_progress_bar()
    try:
        yield
    finally:
        told.enable_progress_bar()


def read_report(folder: Path) -> TrainReport | None:
    """What a finished training left; None where there is none, or something else."""
    try:
        return TrainReport.from_json(json.loads((folder / METRICS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, LookupError):
        return None


def read_student(folder: Path, student: nn.Module) -> nn.Module:
    """A student with the weights that `write_student` wrote, in evaluation mode.

    Raises:
        TrainingFailed: they are gone, or are another network's.
    """
    try:
        if (folder / WEIGHTS).exists():
            load_model(student, folder / WEIGHTS)
        else:
            with _without_bars():
                student = cast(Any, type(student)).from_pretrained(folder)
    except (OSError, RuntimeError, SafetensorError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise TrainingFailed(f"the student in {folder} cannot be read: {reason}; choose another -o") from None
    return student.eval()


def make_folder(folder: Path) -> None:
    """Make the folder, if need be.

    Raises:
        TrainingFailed: it cannot be made.
    """
    with _in_words(folder):
        folder.mkdir(parents=True, exist_ok=True)


def _save(module: nn.Module, path: Path) -> None:
    """Tensors that share memory are written once; `safetensors.torch.load_model` gives them back, strictly."""
    with replaced(path) as unfinished:
        save_model(module, str(unfinished))


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = (
            os.strerror(error.errno) if isinstance(error, OSError) and error.errno else " ".join(str(error).split())
        )
        kept = "the checkpoint is kept: make room, then run the same command again"
        raise TrainingFailed(f"{folder} cannot be written to: {reason}; {kept}") from None
