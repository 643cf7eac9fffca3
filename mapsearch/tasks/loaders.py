"""What a task's `DataLoader` says about its samples: which there are, how they are collated and how they are drawn."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    WeightedRandomSampler,
    default_collate,
)

from mapsearch.core.errors import TaskError

Collate = Callable[[list[Any]], Any]


class LoaderSamples(Subset[Any]):
    """The samples of a `DataLoader` over a map-style dataset.

    Args:
        indices: those that its sampler draws from.
        collate_fn: makes its batches; None leaves that to the task.
        weights: of drawing each sample `[N]`, where its sampler has such.
        notes: what of the loader is not used, for the user.
    """

    def __init__(
        self, dataset: Any, indices: Sequence[int], collate_fn: Collate | None, weights: Tensor | None,
        notes: tuple[str, ...],
    ) -> None:  # fmt: skip
        super().__init__(dataset, indices)
        self.collate_fn, self.weights, self.notes = collate_fn, weights, notes


def loader_samples(name: str, loader: DataLoader[Any]) -> LoaderSamples:
    """The samples of a loader over a map-style dataset: which, collated how and drawn with which weights.

    Raises:
        TaskError: the loader does not make batches of single samples.
    """
    collate_fn, sampler = own_collate(name, loader), _sampler(loader)
    n = len(loader.dataset)  # type: ignore[arg-type]
    indices = list(sampler.indices) if isinstance(sampler, SubsetRandomSampler) else range(n)
    weights = sampler.weights if isinstance(sampler, WeightedRandomSampler) else None
    return LoaderSamples(loader.dataset, indices, collate_fn, weights, tuple(_unused(name, loader, sampler)))


def own_collate(name: str, loader: DataLoader[Any]) -> Collate | None:
    """How the loader collates, where it says so.

    Raises:
        TaskError: its dataset gives whole batches.
    """
    if loader.batch_size is None and loader.batch_sampler is None:
        given = "got a DataLoader with `batch_size=None`, whose dataset gives whole batches"
        raise TaskError(f"`{name}()` must give single samples, but {given}; return a dataset of samples instead")
    return None if loader.collate_fn is default_collate else loader.collate_fn


def is_stream(data: Any) -> bool:
    """Whether samples can only be read in order."""
    if isinstance(data, DataLoader):
        return is_stream(data.dataset)
    if isinstance(data, IterableDataset):
        return True
    has_indices = hasattr(data, "__len__") and (hasattr(data, "__getitem__") or hasattr(data, "__getitems__"))
    return hasattr(data, "__iter__") and not has_indices


def _sampler(loader: DataLoader[Any]) -> Any:
    """What draws single samples, also where it stands within a sampler of batches."""
    batches = loader.batch_sampler
    return batches.sampler if isinstance(batches, BatchSampler) else batches or loader.sampler


def _unused(name: str, loader: DataLoader[Any], sampler: Any) -> Iterator[str]:
    if name != "train_data":
        if not isinstance(sampler, (SequentialSampler, RandomSampler, SubsetRandomSampler)):
            yield f"`{name}()`: every sample is measured once; the DataLoader's {type(sampler).__name__} is not used"
        return
    used = "the weights of its sampler, " if isinstance(sampler, WeightedRandomSampler) else ""
    used = "the indices of its sampler, " if isinstance(sampler, SubsetRandomSampler) else used
    known = (SequentialSampler, RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
    unused = "its batch size" if isinstance(sampler, known) else f"its {type(sampler).__name__} and batch size"
    rule = "batches of `train.batch_size` are drawn by the seed of each run"
    yield f"`train_data()`: of the DataLoader its dataset, {used}and its collate_fn are used, not {unused}: {rule}"
