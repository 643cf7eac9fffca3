"""Checks of how labels are read: what of a batch they are, and missing ones that count as numbers."""

from typing import Any

from torch import Tensor

from mapsearch.check.finding_log import FindingLog
from mapsearch.tasks.default_losses import UNLABELLED
from mapsearch.tasks.labels import labels_of
from mapsearch.tasks.task import Task
from mapsearch.tasks.whole_set import is_overridden


def check_items(log: FindingLog, task: Task, batch: Any) -> None:
    """Warn of items of a batch that nobody looks at."""
    is_read_otherwise = is_overridden(task, "labels") or is_overridden(task, "forward")
    if not is_read_otherwise and isinstance(batch, (tuple, list)) and len(batch) > 2 and isinstance(batch[1], Tensor):
        problem = f"batches have {len(batch)} items: the first is shown to the networks, the second are the labels"
        way_out = "where others are meant, make batches dicts or define `Task.forward` and `Task.labels`"
        log.add("warning", "outputs.more_items", f"{problem}; {way_out}")


def check_unlabelled_values(log: FindingLog, task: Task, batch: Any) -> None:
    """Warn of samples marked as unlabelled whose marks would be learned."""
    labels = labels_of(task, batch)
    if task.output_form.kind == "values" and labels is not None and bool((labels == UNLABELLED).any()):
        share = float((labels == UNLABELLED).float().mean())
        problem = f"{share:.0%} of the labels are {UNLABELLED}, which among real numbers is a number like others"
        log.add("warning", "outputs.values_unlabelled", f"{problem}; leave out samples that have none")
