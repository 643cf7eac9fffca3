"""TensorBoard: an event file in a folder, written by torch's own writer."""

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


class TensorBoard:
    """A run of TensorBoard; what is resumed into the same folder goes on there."""

    def __init__(self, study: str, folder: Path | None = None) -> None:
        self._writer = SummaryWriter(str(folder or Path("runs") / study))
        self._n_texts = 0

    def numbers(self, axis: str, step: int, values: dict[str, float]) -> None:
        """Log numbers by name at that step."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def text(self, name: str, text: str) -> None:
        """Log a text after the others of that name."""
        self._writer.add_text(name, text, self._n_texts)
        self._n_texts += 1

    def close(self) -> None:
        """Write out what is left."""
        self._writer.close()
