"""How alike the layers of two networks are, with the floor under which it is noise."""

from dataclasses import asdict, dataclass
from math import hypot
from statistics import fmean, pstdev
from typing import Any, Literal

from mapsearch.core.text import printable
from mapsearch.display.frames import frame
from mapsearch.display.html import matrix
from mapsearch.display.pictures import draw_matrix

MeasureName = Literal["cka", "rbf_cka", "distance_correlation", "rsa", "mutual_knn", "procrustes", "svcca"]
EstimatorName = Literal["debiased", "biased"]
Block = int | Literal["auto", "all"]

WITH_BIAS: tuple[MeasureName, ...] = ("cka", "rbf_cka", "distance_correlation")
"""Measures whose textbook estimate is biased and that have a debiased one."""
ALL_AT_ONCE: tuple[MeasureName, ...] = ("cka", "procrustes", "svcca")
"""Measures that can compare every sample with every other one, by working in feature space."""
MIN_SAMPLES = 8
"""Fewer samples than these say nothing at all."""
ENOUGH_SAMPLES = 64
"""Fewer samples than these tell layers apart by chance: the matrix is then a rough one, and says so."""


def measure_problem(measure: MeasureName, estimator: EstimatorName, block: Block) -> str:
    """Why a measure cannot be estimated this way, or the empty string."""
    if estimator == "biased" and measure not in WITH_BIAS:
        return f"`estimator: biased` works with {', '.join(WITH_BIAS)}, but got `measure: {measure}`"
    if block == "all" and measure not in ALL_AT_ONCE:
        return f"`block: all` works with {', '.join(ALL_AT_ONCE)}, but got `measure: {measure}`"
    if isinstance(block, int) and measure in ("procrustes", "svcca"):
        return f"`measure: {measure}` compares all samples at once, but got `block: {block}`; leave it at auto"
    return ""


@dataclass(frozen=True)
class Similarity:
    """A matrix `values[S][T]`, about 0 for unrelated features and 1 for equal ones.

    Debiased values may lie slightly below zero. `noise_floor` is the 95 % quantile of the absolute
    value over the same features with their rows shuffled: what unrelated features would show.
    `spread_floor` is the same quantile of the widest spread within a student layer's row.
    `standard_errors[S][T]` are a jackknife's over blocks of samples, None where there were too few.
    `features` says how a layer's output became rows, `estimator` how rows became values, `digest`
    (12 hex digits) which samples in which order both networks saw, `notes` whatever else a reader must know.
    """

    student_layers: tuple[str, ...]
    teacher_layers: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    noise_floor: float
    measure: MeasureName
    n_samples: int
    features: str
    spread_floor: float = 0.0
    standard_errors: tuple[tuple[float, ...], ...] | None = None
    estimator: str = ""
    digest: str = ""
    notes: tuple[str, ...] = ()

    @property
    def is_flat(self) -> bool:
        """Whether no student layer distinguishes the teacher layers by more than chance."""
        return not any(self._is_informative(s) for s in range(len(self.values)))

    def _is_informative(self, s: int) -> bool:
        """Whether a row spreads more than with shuffled samples, and more than the errors of its two ends allow."""
        row = self.values[s]
        low, high = row.index(min(row)), row.index(max(row))
        errors = self.standard_errors[s] if self.standard_errors else [0.0] * len(row)
        return row[high] - row[low] > max(self.spread_floor, 1.96 * hypot(errors[low], errors[high]))

    def z(self) -> list[list[float]]:
        """The values standardised within each student layer, `[S, T]`; zeros in rows that are not informative."""
        rows = []
        for s, row in enumerate(self.values):
            mean, deviation = fmean(row), pstdev(row)
            informative = deviation > 1e-12 and self._is_informative(s)
            rows.append([(value - mean) / deviation if informative else 0.0 for value in row])
        return rows

    def _repr_html_(self) -> str:
        """The values, in colours fixed from 0 to 1."""
        rows, columns = (tuple(map(printable, names)) for names in (self.student_layers, self.teacher_layers))
        flat = "; cannot rank layers here" if self.is_flat else ""
        return matrix(self.values, rows, columns, f"{self._title}{flat}")

    def plot(self, axes: Any = None) -> Any:
        """The values as a picture in colours fixed from 0 to 1; gives its axes. `plot_similarity` draws all there is.

        Raises:
            ImportError: matplotlib is not installed.
        """
        return draw_matrix(self.values, self.student_layers, self.teacher_layers, self._title, axes)

    def to_frame(self) -> Any:
        """A data frame `[S, T]`: a row for each student layer, a column for each teacher layer.

        Raises:
            ImportError: pandas is not installed.
        """
        rows = [dict(zip(self.teacher_layers, row, strict=True)) for row in self.values]
        return frame(rows, self.student_layers, "student")

    @property
    def _title(self) -> str:
        told = f"noise floor {self.noise_floor:.2g}, {self.n_samples} samples"
        return f"{self.measure}, student rows, teacher columns;\n{told}"

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives an equal similarity back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Similarity":
        """The similarity that `to_json` wrote."""
        errors = data.get("standard_errors")
        return cls(
            **{
                **data,
                "student_layers": tuple(data["student_layers"]),
                "teacher_layers": tuple(data["teacher_layers"]),
                "values": tuple(tuple(row) for row in data["values"]),
                "standard_errors": errors and tuple(tuple(row) for row in errors),
                "notes": tuple(data.get("notes", ())),
            }
        )
