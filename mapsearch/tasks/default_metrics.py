"""Metrics that every task has by the kind of its outputs, without writing any."""

from mapsearch.tasks.loaded_task import LoadedTask
from mapsearch.tasks.seen import Seen


class Agreement:
    """The share of samples and positions, labelled or not, for which the network says what the teacher says.

    Padded positions do not count.
    """

    def __init__(self, loaded: LoadedTask) -> None:
        self._loaded, self._n_equal, self._n = loaded, 0, 0

    def update(self, seen: Seen) -> None:
        """Add one batch."""
        says_which = self._loaded.task.output_form.kind in ("classes", "labels")
        if not says_which or seen.teacher is None or seen.answer is None or seen.answer.shape != seen.teacher.shape:
            return
        equal, mask = seen.answer == seen.teacher, self._loaded.task.mask(seen.batch)
        if mask is not None and mask.shape == equal.shape[: mask.ndim]:
            equal = equal[mask]
        self._n_equal += int(equal.sum())
        self._n += equal.numel()

    def compute(self) -> dict[str, float]:
        """`agreement` in [0, 1]; nothing where outputs cannot be compared."""
        return {"agreement": self._n_equal / self._n} if self._n else {}
