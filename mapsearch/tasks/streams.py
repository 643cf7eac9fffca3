"""Samples that come as a stream, with no number of samples and no indices."""

from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from typing import Any

from torch.utils.data import Dataset

from mapsearch.core.errors import TaskError
from mapsearch.tasks.memory import is_out_of_memory
from mapsearch.tasks.seeding import seed_everything, step_seed
from mapsearch.tasks.user_code import describe

HEAD_SAMPLES = 512
"""First samples of a training stream that are kept: what measures similarity and looks at samples looks at these."""

MAX_STREAMED_SAMPLES = 1_000_000
"""A stream of validation samples that gives more than this is believed to have no end."""

EPOCH_NUMBERS = 2**31
"""`set_epoch` is given a number below this, which every generator takes as its seed."""


class Stream(Dataset[Any]):
    """A training stream: `read` gives its samples in order, by index there are its first ones alone.

    A stream begins anew for each run, under the run's seed, so that all members of a cohort, and a run that is
    repeated, read the same samples.

    Args:
        open: begins a pass over the stream.
        collate_fn: makes its batches; None leaves that to the task.
        notes: what the user should know of how it is read.
    """

    def __init__(
        self, open: Callable[[], Iterable[Any]], collate_fn: Callable[[list[Any]], Any] | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        self._open = open
        self.collate_fn, self.notes = collate_fn, notes
        self.head = self.first(HEAD_SAMPLES, seed=0)

    def __len__(self) -> int:
        return len(self.head)

    def __getitem__(self, i: int) -> Any:
        return self.head[i]

    @property
    def is_longer(self) -> bool:
        """Whether there are more samples than the first ones."""
        return len(self.head) == HEAD_SAMPLES

    def first(self, n: int, seed: int) -> list[Any]:
        """The first `n` samples as a run of that seed reads them, fewer where one pass has fewer.

        Raises:
            TaskError: reading fails.
        """
        seed_everything(step_seed(seed, 0))
        return list(islice(self._pass(step_seed(seed, 0)), n))

    def read(self, seed: int) -> Iterator[Any]:
        """The samples in order, pass after pass without end. A pass begins by `set_epoch`, where the stream has it.

        Raises:
            TaskError: reading fails, or a pass gives no sample.
        """
        for epoch in count():
            is_empty = True
            for sample in self._pass(step_seed(seed, epoch)):
                is_empty = False
                yield sample
            if is_empty:
                raise TaskError(f"`train_data()` gave no sample when it was read {'again' if epoch else 'for a run'}")

    def _pass(self, epoch: int) -> Iterator[Any]:
        n = 0
        try:
            stream = self._open()
            if hasattr(stream, "set_epoch"):
                stream.set_epoch(epoch % EPOCH_NUMBERS)
            for sample in stream:
                n += 1
                yield sample
        except (Exception, SystemExit) as error:
            if is_out_of_memory(error):
                raise
            raise TaskError(f"reading `train_data()` after {n} samples failed: {describe(error)}") from error


def read_whole(name: str, stream: Iterable[Any]) -> list[Any]:
    """All samples of a stream that networks are measured on.

    Raises:
        TaskError: it has no end.
    """
    seed_everything(0)
    samples = list(islice(stream, MAX_STREAMED_SAMPLES + 1))
    if len(samples) > MAX_STREAMED_SAMPLES:
        limit = f"must end, but gave more than {MAX_STREAMED_SAMPLES:,} samples"
        raise TaskError(f"`{name}()` {limit}; return its first ones, by `itertools.islice(stream, n)`")
    return samples
