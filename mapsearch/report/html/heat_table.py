"""A similarity as a table of colours: fixed from 0 to 1, so that two studies compare by colour."""

from collections.abc import Collection
from dataclasses import dataclass

from mapsearch.core.similarity import Similarity
from mapsearch.report.annotations import MEASURE_TITLES, annotate, flat, rounded
from mapsearch.report.html.numbers import minus
from mapsearch.report.layer_names import shorten

LEVELS = 20
PRINTED_TEACHERS = 12
"""Up to so many columns have their values in the cells."""


@dataclass(frozen=True)
class Cell:
    """One pair of layers: `level` 0 to `LEVELS` of its colour and its marks."""

    value: str
    level: int
    noise: bool
    best: bool
    mapped: bool


@dataclass(frozen=True)
class HeatTable:
    """Rows are student layers, columns teacher layers; `summary` says in words what the colours show."""

    title: str
    heads: tuple[str, str]
    students: tuple[str, ...]
    teachers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    noise_floor: str
    summary: str
    best: tuple[tuple[str, str, str], ...]

    @property
    def printed(self) -> bool:
        """Whether the cells have room for their values."""
        return len(self.teachers) <= PRINTED_TEACHERS


def heat_table(similarity: Similarity, mapped: Collection[tuple[str, str]]) -> HeatTable:
    """The table of a similarity; `mapped` are the pairs (student, teacher) of the mapping that is drawn."""
    marks = annotate(similarity)
    s_head, students = shorten(similarity.student_layers)
    t_head, teachers = shorten(similarity.teacher_layers)
    rows = tuple(
        tuple(
            Cell(
                minus(rounded(value)),
                round(LEVELS * min(1.0, max(0.0, value))),
                (s, t) in marks.noise,
                (s, t) in marks.best,
                (similarity.student_layers[s], similarity.teacher_layers[t]) in mapped,
            )
            for t, value in enumerate(row)
        )
        for s, row in enumerate(similarity.values)
    )
    best = tuple(
        (students[s], teachers[row.index(max(row))], minus(rounded(max(row))))
        for s, row in enumerate(similarity.values)
    )
    return HeatTable(
        MEASURE_TITLES[similarity.measure], (t_head, s_head), students, teachers, rows,
        minus(rounded(similarity.noise_floor)), _summary(similarity, len(marks.noise)), best,
    )  # fmt: skip


def _summary(similarity: Similarity, n_noise: int) -> str:
    values = flat(similarity.values)
    span = f"from {minus(rounded(min(values)))} to {minus(rounded(max(values)))}"
    if similarity.is_flat:
        return f"{span}; no student layer tells the teacher layers apart by more than chance"
    above = "every pair is above it" if not n_noise else f"{n_noise:,} of {len(values):,} pairs are at or below it"
    return f"{span}; noise floor {minus(rounded(similarity.noise_floor))}, {above}"
