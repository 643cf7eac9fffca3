"""What exported scripts train: the study's own task with a distillation loss, as the study trained it."""

import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_model
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.utils.data import DataLoader, IterableDataset, Subset, SubsetRandomSampler, default_collate


def open_task(
    folder: Path, name: str, options: Mapping[str, Any], outputs: Mapping[str, Any], *, cache_dir: Path
) -> Any:
    """The task `file.py:Class` seen from a folder, or `package.module:Class`, which reads its outputs as the study.

    Args:
        cache_dir: the folder in which the task may keep what is dear to make; it is made.
    """
    module, _, kind = name.rpartition(":")
    if module.endswith(".py"):
        path = (folder / module).resolve()
        sys.path.insert(0, str(path.parent))
        module = path.stem
    cls = getattr(importlib.import_module(module), kind)
    cache_dir.mkdir(parents=True, exist_ok=True)
    task = cls.__new__(cls)
    task.cache_dir = cache_dir  # before `__init__`, which may use it
    task.__init__(**options)
    task.output_form = type(task.output_form)(**outputs)
    return task


def drawn(task: Any, seed: int) -> tuple[Any, Callable[..., Any]]:
    """The training samples of a seed, and what makes batches of them, be it the task's or that of its `DataLoader`.

    Raises:
        TypeError: they can only be read in order.
    """
    takes_seed = "seed" in inspect.signature(task.train_data).parameters
    data, collate = task.train_data(seed=seed) if takes_seed else task.train_data(), task.collate
    if isinstance(data, DataLoader):
        sampler = getattr(data.batch_sampler, "sampler", data.sampler)
        collate = collate if data.collate_fn is default_collate else data.collate_fn
        data = Subset(data.dataset, sampler.indices) if isinstance(sampler, SubsetRandomSampler) else data.dataset
    if isinstance(data, IterableDataset) or not hasattr(data, "__len__"):
        raise TypeError(
            "`train_data` is a stream, but the trainer draws its own order of the samples: return a dataset with "
            "`len` and indexing here, or train with `mapsearch train`"
        )
    return data, collate


class Distilled(nn.Module):
    """A student with its distillation loss: the forward pass takes a batch and gives the loss.

    Its parameters are those of student and projectors; the teacher is no part of it.
    """

    def __init__(self, task: Any, student: nn.Module, teacher: nn.Module, loss: nn.Module, divisor: float) -> None:
        super().__init__()
        self.student, self.loss = student, loss
        self.others = (task, teacher.eval().requires_grad_(False))  # in a tuple: neither trained nor saved
        self.divisor = divisor

    def forward(self, batch: Any, progress: float) -> Tensor:
        """The total loss of a batch; `progress` is the fraction of the training done."""
        task, teacher = self.others
        teacher.to(next(self.student.parameters()).device)
        with torch.no_grad():
            taught = task.forward(teacher, batch)
        output = task.forward(self.student, batch)
        task_loss = task.loss(output, batch)
        total: Tensor = self.loss(
            torch.zeros(()) if task_loss is None else task_loss,
            self._matched(output),
            self._matched(taught),
            mask=task.mask(batch),
            progress=progress,
        )
        return total / self.divisor

    def _matched(self, output: Any) -> Tensor | None:
        """What is matched in an output: classes or values on the last axis, values as the study standardised them."""
        task, _ = self.others
        form = task.output_form
        if form.kind == "none":
            return None
        outputs: Tensor = task.outputs(output).movedim(form.class_axis, -1)
        outputs = outputs.unsqueeze(-1) if outputs.ndim == 1 or form.per_token else outputs
        if form.sd:
            outputs = (outputs - outputs.new_tensor(form.mean)) / outputs.new_tensor(form.sd)
        return outputs


def open_optimizer(model: Distilled, name: str, *, lr: float, projector_lr: float, weight_decay: float) -> Optimizer:
    """The study's optimizer of the student, in the task's own groups where it has any, and of the projectors."""
    task, _ = model.others
    groups = task.parameter_groups(model.student, lr) or [{"params": list(model.student.parameters())}]
    projectors = {"params": list(model.loss.parameters()), "lr": projector_lr}
    groups = [group for group in (*groups, projectors) if group["params"]]
    if name == "sgd":
        return SGD(groups, lr, momentum=0.9, nesterov=True, weight_decay=weight_decay)
    return AdamW(groups, lr, weight_decay=weight_decay)


def save_student(student: Any, folder: Path) -> None:
    """Write the bare student into the folder, the way that models of Hugging Face have or as safetensors."""
    if hasattr(student, "save_pretrained"):
        student.save_pretrained(folder)
    else:
        save_model(student, str(folder / "student.safetensors"))


def measured(task: Any, student: nn.Module, batch_size: int) -> dict[str, float]:
    """The student's metrics on the data of the verdict, as the study measured them."""
    metrics: dict[str, float] = importlib.import_module("mapsearch").evaluate(task, student, batch_size=batch_size)
    return metrics
