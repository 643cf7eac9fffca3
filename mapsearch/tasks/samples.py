"""The samples of a task, in whatever form it gives them: the same ones for all seeds, or drawn anew by each."""

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from mapsearch.core.errors import TaskError
from mapsearch.tasks.loaders import LoaderSamples, is_stream, loader_samples, own_collate
from mapsearch.tasks.streams import Stream, read_whole
from mapsearch.tasks.task import Task
from mapsearch.tasks.user_code import user_code

MIN_TRAINING_SAMPLES = 8

MAX_WEIGHTED_SAMPLES = 2**24
"""As many categories as `torch.multinomial` draws from."""


def redraws(task: Task) -> bool:
    """Whether `train_data` takes a seed, and so each seed its own samples."""
    return _takes_seed(task.train_data)


def training_samples(task: Task, seed: int) -> Any:
    """The training samples of a seed: a map-style dataset, or a `Stream`.

    Raises:
        TaskError: they are too few, or cannot be read.
    """
    with user_code("`train_data()`"):
        data = _seeded(task.train_data, seed)
        samples = _opened_stream(task, data, seed) if is_stream(data) else _map_style("train_data", data)
    check_data("train_data", samples, MIN_TRAINING_SAMPLES)
    return samples


def measured_samples(name: str, data: Any) -> Any:
    """The samples of `valid_data` or `test_data`: a map-style dataset; a stream is read to its end, once.

    Raises:
        TaskError: they have another form, or no end.
    """
    if not is_stream(data):
        return _map_style(name, data)
    if isinstance(data, DataLoader):
        samples = read_whole(name, iter(data.dataset))
        return LoaderSamples(samples, range(len(samples)), own_collate(name, data), None, ())
    return read_whole(name, data)


def sample_weights(task: Task, samples: Any, seed: int) -> Tensor | None:
    """The weights `[N]` in float64 with which training samples are drawn; None where all are drawn alike.

    The task's own, else those of its loader's sampler.

    Raises:
        TaskError: they are no weights of these samples.
    """
    with user_code("`sample_weights()`"):
        given = _seeded(task.sample_weights, seed)
    if given is None:
        given = getattr(samples, "weights", None)
    return None if given is None else _checked_weights(given, samples)


def check_data(name: str, data: Any, least: int) -> None:
    """Make sure that there are enough samples.

    Raises:
        TaskError: there are not.
    """
    with user_code(f"the length of `{name}()`"):
        n = len(data)
    if n < least:
        raise TaskError(f"`{name}()` must hold at least {least} samples, but got {n}")


def _takes_seed(method: Callable[..., Any]) -> bool:
    return "seed" in inspect.signature(method).parameters


def _seeded(method: Callable[..., Any], seed: int) -> Any:
    return method(seed=seed) if _takes_seed(method) else method()


def _map_style(name: str, data: Any) -> Any:
    if isinstance(data, DataLoader):
        _map_style(name, data.dataset)
        return loader_samples(name, data)
    if not (hasattr(data, "__len__") and (hasattr(data, "__getitem__") or hasattr(data, "__getitems__"))):
        forms = "a map-style dataset (len and indexing), an iterable one or a DataLoader"
        raise TaskError(f"`{name}()` must return {forms}, but got {type(data).__name__}")
    return data


def _opened_stream(task: Task, data: Any, seed: int) -> Stream:
    """A stream that can be read again; where it can be read once only, `train_data` gives it anew each time."""
    first = _dataset(data)
    reads_once = iter(first) is first
    collate_fn = own_collate("train_data", data) if isinstance(data, DataLoader) else None
    note = "`train_data()` gives a stream: every run reads it from its beginning, in batches of `train.batch_size`"
    return Stream(lambda: _dataset(_seeded(task.train_data, seed)) if reads_once else first, collate_fn, (note,))


def _dataset(data: Any) -> Any:
    return data.dataset if isinstance(data, DataLoader) else data


def _checked_weights(given: Any, samples: Any) -> Tensor:
    rule = "`sample_weights()` must be"
    if isinstance(samples, Stream):
        raise TaskError(f"{rule} None where `train_data()` gives a stream, which is read in its own order")
    n = len(samples)
    try:
        weights = torch.as_tensor(given, dtype=torch.float64).cpu()
    except (TypeError, ValueError, RuntimeError):
        raise TaskError(f"{rule} one number per training sample, but got {given!r:.80}") from None
    if weights.shape != (n,):
        raise TaskError(f"{rule} [{n}], one weight per training sample, but got {list(weights.shape)}")
    wrong = ~(weights.isfinite() & (weights >= 0))
    if wrong.any():
        i = int(wrong.nonzero()[0])
        raise TaskError(f"{rule} finite and not negative, but got {float(weights[i]):g} for sample {i}")
    if not weights.any():
        raise TaskError(f"{rule} above zero for some sample, but all are zero; return None to draw all alike")
    if n > MAX_WEIGHTED_SAMPLES:
        raise TaskError(f"{rule} None for more than {MAX_WEIGHTED_SAMPLES:,} samples, but there are {n:,}")
    return weights
