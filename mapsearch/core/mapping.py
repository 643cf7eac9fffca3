"""Which teacher layers feed which student layer, and how strongly."""

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from mapsearch.core.errors import MappingError
from mapsearch.core.text import printable
from mapsearch.display.frames import frame
from mapsearch.display.html import line, table
from mapsearch.display.pictures import draw_matrix

MOST_NAMED = 4
"""Teacher layers of a row that its text names one by one."""

LEAST_TOLD = 0.005
"""Weights, as parts of the whole, that differ by less are told as equal."""


class Pair(NamedTuple):
    """One arrow `student <- teacher` and its weight, > 0."""

    student: str
    teacher: str
    weight: float


@dataclass(frozen=True, init=False)
class LayerMapping:
    """A sparse `W[S, T] >= 0`, held as pairs.

    Pairs are kept in one canonical order (numbers in names count as numbers), so that equal
    mappings are equal objects whatever order they were written in. Without pairs, no features are matched.
    """

    pairs: tuple[Pair, ...]

    def __init__(self, pairs: Iterable[tuple[str, str, float]] = ()) -> None:
        """The mapping of `(student layer, teacher layer, weight)`.

        Raises:
            MappingError: a weight is not a finite number above zero, or a pair is listed twice.
        """
        named = [Pair(student, teacher, float(weight)) for student, teacher, weight in pairs]
        if problems := [*_weight_problems(named), *_duplicates(named)]:
            raise MappingError(*problems)
        object.__setattr__(self, "pairs", tuple(sorted(named, key=_depth_order)))

    @property
    def student_layers(self) -> tuple[str, ...]:
        """The student layers of the pairs, each once, in canonical order."""
        return tuple(dict.fromkeys(p.student for p in self.pairs))

    @property
    def teacher_layers(self) -> tuple[str, ...]:
        """The teacher layers of the pairs, each once, in canonical order."""
        return tuple(sorted({p.teacher for p in self.pairs}, key=_natural))

    def normalised(self) -> "LayerMapping":
        """The same mapping with weights that sum to one."""
        return self._normalised

    @cached_property  # a search asks every mapping it has tried, before each proposal
    def _normalised(self) -> "LayerMapping":
        total = math.fsum(p.weight for p in self.pairs)
        return LayerMapping(tuple(p._replace(weight=p.weight / total) for p in self.pairs))

    def matrix(self, student_layers: Sequence[str], teacher_layers: Sequence[str]) -> list[list[float]]:
        """`W[S, T]` over the given layers; pairs of other layers are left out."""
        weights = {(p.student, p.teacher): p.weight for p in self.pairs}
        return [[weights.get((s, t), 0.0) for t in teacher_layers] for s in student_layers]

    @classmethod
    def from_matrix(
        cls,
        weights: Sequence[Sequence[float]],
        student_layers: Sequence[str],
        teacher_layers: Sequence[str],
    ) -> "LayerMapping":
        """The mapping of `W[S, T]`; a zero weight makes no pair.

        Raises:
            MappingError: the matrix is not `[S, T]`, or a weight is negative or not finite.
        """
        if len(weights) != len(student_layers) or any(len(row) != len(teacher_layers) for row in weights):
            raise MappingError(
                f"the weights must be `W[S, T]` with S = {len(student_layers)} and T = {len(teacher_layers)}, "
                f"but got {len(weights)} rows of {sorted({len(row) for row in weights})}"
            )
        return cls(
            tuple(
                Pair(student, teacher, weight)
                for student, row in zip(student_layers, weights, strict=True)
                for teacher, weight in zip(teacher_layers, row, strict=True)
                if weight != 0
            )
        )

    @property
    def fingerprint(self) -> str:
        """12 hex digits, the same for equal mappings on every machine."""
        return hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()[:12]

    def to_json(self) -> list[dict[str, Any]]:
        """`[{student, teacher, weight}]`; `from_json` gives an equal mapping back, to the last bit."""
        return [p._asdict() for p in self.pairs]

    @classmethod
    def from_json(cls, data: Iterable[dict[str, Any]]) -> "LayerMapping":
        """The mapping that `to_json` wrote.

        Raises:
            MappingError: a pair has other keys, or a weight that `LayerMapping` refuses.
        """
        pairs = list(data)
        problems = [
            f"a pair has the keys {', '.join(Pair._fields)}, but got {pair!r}"
            for pair in pairs
            if not isinstance(pair, dict) or set(pair) != set(Pair._fields)
        ]
        if problems:
            raise MappingError(*problems)
        return cls(tuple(Pair(**pair) for pair in pairs))

    def _repr_html_(self) -> str:
        if not self.pairs:
            return line("no features")
        pairs = self.normalised().pairs
        rows = [(printable(p.student), printable(p.teacher), f"{100 * p.weight:.0f} %") for p in pairs]
        return table(("student", "teacher", "weight"), rows)

    def plot(self, axes: Any = None) -> Any:
        """The weights, in parts of the whole, as a picture of student and teacher layers; gives its axes.

        Raises:
            ImportError: matplotlib is not installed.
        """
        students, teachers = self.student_layers, self.teacher_layers
        weights = self.normalised().matrix(students, teachers)
        return draw_matrix(weights, students, teachers, "weights, student <- teacher", axes)

    def to_frame(self) -> Any:
        """A data frame with a row for each pair: `student`, `teacher`, `weight`.

        Raises:
            ImportError: pandas is not installed.
        """
        return frame(self.to_json())

    def __str__(self) -> str:
        """`blocks.0 <- layers.1 (57 %) + layers.2 (14 %) | blocks.1 <- layers.5 (29 %)`; equal weights are not told."""
        return " | ".join(f"{s} <- {_row(self.normalised().pairs, s)}" for s in self.student_layers) or "no features"


def _weight_problems(pairs: Sequence[Pair]) -> list[str]:
    return [
        f"pair `{p.student} <- {p.teacher}`: the weight must be finite and above zero, but got {p.weight}"
        for p in pairs
        if not (math.isfinite(p.weight) and p.weight > 0)
    ]


def _duplicates(pairs: Sequence[Pair]) -> list[str]:
    counts = Counter((p.student, p.teacher) for p in pairs)
    return [
        f"pair `{student} <- {teacher}` is listed {n} times; merge them into one and add the weights"
        for (student, teacher), n in counts.items()
        if n > 1
    ]


def _row(pairs: Sequence[Pair], student: str) -> str:
    row = [p for p in pairs if p.student == student]
    if len(row) > MOST_NAMED:
        return f"{len(row)} layers {row[0].teacher} .. {row[-1].teacher}"
    alike = max(p.weight for p in pairs) - min(p.weight for p in pairs) < LEAST_TOLD
    return " + ".join(p.teacher if alike else f"{p.teacher} ({100 * p.weight:.0f} %)" for p in row)


@lru_cache(maxsize=4096)  # a study has few layers and many mappings
def _natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    parts = re.split(r"(\d+)", name)  # isdecimal is what \d matches and int() reads; isdigit would take a superscript
    return tuple((not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts)


def _depth_order(pair: Pair) -> tuple[Any, ...]:
    return _natural(pair.student), _natural(pair.teacher)
