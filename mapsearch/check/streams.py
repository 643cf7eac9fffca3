"""Whether a stream of training samples gives paired runs the same batches."""

import torch
from torch import Tensor

from mapsearch.check.finding_log import FindingLog
from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.sample_digests import row_digests
from mapsearch.tasks.streams import Stream

N_READ_TWICE = 64
"""Samples from the beginning of a stream that are read again."""


def check_stream(log: FindingLog, loaded: LoadedTask, stream: Stream) -> None:
    """Read the beginning of the stream again: the same seed must give the same samples, another one may not."""
    first, again, other = (_beginning(loaded, stream, seed) for seed in (0, 0, 1))
    if first is None or again is None or other is None:
        problem = "samples hold objects whose content cannot be compared: that runs read the same ones is not known"
        log.add("warning", "data.stream_unknown", f"the stream of `train_data()`: {problem}")
    elif not torch.equal(first, again):
        problem = "`train_data()` gives other samples at a second reading: runs that are compared see different ones"
        way_out = "draw at random from torch, NumPy or `random` (seeded before each reading), or by `set_epoch(number)`"
        log.add("warning", "data.stream_varies", f"{problem}; {way_out}, or return a map-style dataset")
    elif torch.equal(first, other):
        advice = "to shuffle by seed, define `set_epoch(number)` or `train_data(self, seed)`"
        log.add("ok", "data.stream_fixed", f"the stream of `train_data()` is the same for every seed; {advice}")
    else:
        log.add("ok", "data.stream_seeded", "the stream of `train_data()` follows the seed: paired runs read the same")


def _beginning(loaded: LoadedTask, stream: Stream, seed: int) -> Tensor | None:
    return row_digests(loaded.collate(stream, stream.first(N_READ_TWICE, seed)))
