"""Whether the training samples are the same at every look."""

import torch
from torch import Tensor

from mapsearch.tasks.batches import collated
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.sample_digests import row_digests
from mapsearch.tasks.seeding import seed_everything

N_COMPARED_SAMPLES = 64
"""Samples that are read twice, spread over the data."""


def why_not_fixed(loaded: LoadedTask) -> str:
    """Why the training samples must be shown to the teacher anew each time; empty when they are fixed.

    They are when a second look, under another seed and in a smaller batch, shows the same.
    """
    n = len(loaded.train)
    chosen = sorted({i * n // N_COMPARED_SAMPLES for i in range(N_COMPARED_SAMPLES)})
    middle = len(chosen) // 2
    first, again = (_look(loaded, chosen, seed) for seed in (0, 1))
    halves = [_look(loaded, part, 1) for part in (chosen[:middle], chosen[middle:])]
    if first is None or again is None or halves[0] is None or halves[1] is None:
        return "batches hold objects whose content cannot be compared"
    if not torch.equal(first, again):
        return "training samples come out different at a second look (random augmentation)"
    if not torch.equal(again, torch.cat(halves)):  # type: ignore[arg-type]
        return "training samples depend on the batch they come in (padding to its longest, or mixing)"
    return ""


def _look(loaded: LoadedTask, chosen: list[int], seed: int) -> Tensor | None:
    seed_everything(seed)
    return row_digests(collated(loaded, loaded.train, chosen))
