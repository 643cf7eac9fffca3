"""Which settings mattered in a search."""

from dataclasses import dataclass
from typing import Any

from mapsearch.display.frames import frame
from mapsearch.display.html import table
from mapsearch.display.pictures import draw_bars

LABELS = {
    "links": "number of links",
    "teacher_depth": "depth of the teacher layers",
    "lr_factor": "learning rate",
}


@dataclass(frozen=True)
class Importances:
    """The part of what a study's search values differ in that each setting explains by itself, the largest first.

    `parts` holds (setting, part); a part is from 0 to 1. It is empty where too few trials have a value.
    """

    study: str
    metric: str
    parts: tuple[tuple[str, float], ...]

    @property
    def labelled(self) -> tuple[tuple[str, float], ...]:
        """The parts, with what people call the settings."""
        return tuple((LABELS.get(name, name), part) for name, part in self.parts)

    @property
    def _title(self) -> str:
        return f"{self.study}: how much of {self.metric} each setting explains"

    def _repr_html_(self) -> str:
        """A table, the largest part first."""
        return table(("setting", "part"), [(name, f"{part:.1%}") for name, part in self.labelled], self._title)

    def plot(self, axes: Any = None) -> Any:
        """The parts as bars from 0 to 1; gives the axes.

        Raises:
            ImportError: matplotlib is not installed.
        """
        return draw_bars(self.labelled, self._title, axes)

    def to_frame(self) -> Any:
        """A data frame with a row for each setting.

        Raises:
            ImportError: pandas is not installed.
        """
        return frame([{"setting": name, "part": part} for name, part in self.parts])
