"""A mapping drawn as two columns of layers: teacher left, student right, links as thick as their weights."""

from collections.abc import Sequence
from dataclasses import dataclass

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.text import printable
from mapsearch.report.html.numbers import counted, percent
from mapsearch.report.layer_names import shorten

MANY = 16
"""Layers of a column from which on rows are narrow, and only some unused layers are named."""

LEAST_HEIGHT = 180.0
DRAWN_PART = 0.97
"""In a wide drawing the strongest links of a row that make this part of its weight are drawn; all are in the table."""

NAMED_TEACHERS = 4
TICK = 6


@dataclass(frozen=True)
class Row:
    """A layer of a column: its short name, its full one, whether a link ends there, and what is said of it."""

    name: str
    path: str
    used: bool
    tick: bool = True
    says: str = ""


@dataclass(frozen=True)
class Link:
    """A link of `width` pixels from `y_teacher` to `y_student`, in pixels from the top; `s` numbers its student row."""

    s: int
    y_teacher: float
    y_student: float
    width: float
    says: str


@dataclass(frozen=True)
class MappingDrawing:
    """Both columns and the links between them; `heads` are the parts that all names of a column share."""

    teachers: tuple[Row, ...]
    students: tuple[Row, ...]
    links: tuple[Link, ...]
    height: float
    heads: tuple[str, str]
    rows: tuple[tuple[Pair, float], ...]
    says: str

    @property
    def dense(self) -> bool:
        """Whether teacher rows are narrow."""
        return len(self.teachers) > MANY


def draw_mapping(mapping: LayerMapping, students: Sequence[str], teachers: Sequence[str]) -> MappingDrawing:
    """The drawing of a mapping among all layers that may take part; pairs of other layers are added to them."""
    normal = mapping.normalised() if mapping.pairs else mapping
    students = [*students, *(name for name in normal.student_layers if name not in students)]
    teachers = [*teachers, *(name for name in normal.teacher_layers if name not in teachers)]
    weights = normal.matrix(students, teachers)
    s_head, s_names = shorten(students)
    t_head, t_names = shorten(teachers)
    row_height = (15.0 if len(teachers) > MANY else 40.0, 26.0 if len(students) > MANY else 60.0)
    height = max(len(teachers) * row_height[0], len(students) * row_height[1], LEAST_HEIGHT)
    used, sums = set(normal.teacher_layers), _row_sums(normal)
    dense = len(teachers) > MANY
    return MappingDrawing(
        tuple(
            Row(name, printable(path), path in used, not dense or t % TICK == 0 or path in used)
            for t, (name, path) in enumerate(zip(t_names, teachers, strict=True))
        ),
        tuple(
            Row(name, printable(path), any(row), says=_from(row, t_names))
            for name, path, row in zip(s_names, students, weights, strict=True)
        ),
        tuple(_links(weights, s_names, t_names, height)),
        height,
        (t_head, s_head),
        tuple((pair, pair.weight / sums[pair.student]) for pair in normal.pairs),
        _summary(normal, len(students), len(teachers)),
    )


def _links(
    weights: Sequence[Sequence[float]], students: Sequence[str], teachers: Sequence[str], height: float
) -> list[Link]:
    """Links stacked at both ends in the order of the layers, so that none cross at a port; thick ones first."""
    row_s, row_t = height / len(students), height / len(teachers)
    drawn = [_strongest(row, len(teachers) > MANY) for row in weights]
    heaviest = max((sum(row) for row in weights), default=0.0) or 1.0
    full = min(0.62 * row_s, 34.0 if len(teachers) > MANY else 26.0) / heaviest
    loads = [sum(row.get(t, 0.0) for row in drawn) * full for t in range(len(teachers))]
    squeeze = [min(1.0, 0.9 * row_t / load) if load else 1.0 for load in loads]
    at_teacher = [
        (t + 0.5) * row_t - load * part / 2 for t, (load, part) in enumerate(zip(loads, squeeze, strict=True))
    ]
    links = []
    for s, row in enumerate(drawn):
        at_student = (s + 0.5) * row_s - sum(row.values()) * full / 2
        for t, weight in sorted(row.items()):
            width = weight * full
            y_teacher, y_student = at_teacher[t] + width * squeeze[t] / 2, at_student + width / 2
            at_teacher[t] += width * squeeze[t]
            at_student += width
            says = f"{students[s]} ← {teachers[t]}: {percent(weight)} of all weight"
            links.append(Link(s, round(y_teacher, 1), round(y_student, 1), max(1.0, round(width, 1)), says))
    return sorted(links, key=lambda link: -link.width)


def _strongest(row: Sequence[float], thinned: bool) -> dict[int, float]:
    """The links of a row that are drawn, by teacher layer."""
    total, seen, kept = sum(row), 0.0, dict[int, float]()
    for t in sorted(range(len(row)), key=lambda t: -row[t]):
        if row[t] <= 0 or (thinned and seen >= DRAWN_PART * total):
            break
        kept[t], seen = row[t], seen + row[t]
    return kept


def _from(row: Sequence[float], teachers: Sequence[str]) -> str:
    """`from 7 (26 %), 8 (37 %)`, `from 7`, `6 layers, equally`, or `no teacher`."""
    total = sum(row)
    fed = [(teachers[t], weight / total) for t, weight in enumerate(row) if weight > 0]
    if len(fed) < 2:
        return f"from {fed[0][0]}" if fed else "no teacher"
    if max(part for _, part in fed) - min(part for _, part in fed) < 0.005 and len(fed) > 2:
        return f"from {len(fed)} layers, equally"
    if len(fed) > NAMED_TEACHERS:
        strongest = max(fed, key=lambda item: item[1])
        return f"from {len(fed)} layers, most from {strongest[0]} ({percent(strongest[1])})"
    return "from " + ", ".join(f"{name} ({percent(part)})" for name, part in fed)


def _summary(mapping: LayerMapping, n_students: int, n_teachers: int) -> str:
    sizes: dict[str, int] = {}
    for pair in mapping.pairs:
        sizes[pair.student] = sizes.get(pair.student, 0) + 1
    several = sum(size > 1 for size in sizes.values())
    how = f"{several} from several at once" if several else "one teacher layer each"
    return (
        f"{counted(len(mapping.pairs), 'link')}: {len(sizes)} of {n_students} student layers learn from "
        f"{len(mapping.teacher_layers)} of {n_teachers} teacher layers; {how}."
    )


def _row_sums(mapping: LayerMapping) -> dict[str, float]:
    sums: dict[str, float] = {}
    for pair in mapping.pairs:
        sums[pair.student] = sums.get(pair.student, 0.0) + pair.weight
    return sums
