"""A similarity in a terminal of any width: a table of numbers if it fits, else one short cell per pair of layers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from mapsearch.core.similarity import Similarity
from mapsearch.display.colours import VIRIDIS
from mapsearch.report.annotations import MEASURE_TITLES, Annotations, Cell, annotate, colour_range, rounded
from mapsearch.report.layer_names import shorten

_WIDEST_LABEL = 24
NUMBER_WIDTH = 6  # of a cell that holds `0.93`, its mark and a gap


@dataclass(frozen=True)
class Ink:
    """How cells are drawn: `levels` from low to high, unless colour replaces them, and a glyph per mark."""

    levels: str
    noise: str
    both: str
    assigned: str
    best: str
    colour: bool = False

    def legend(self, low: float, high: float, numbers: bool) -> str:
        """What the cells mean, in one line."""
        levels = "dark to light" if self.colour else f"`{self.levels[0]}` to `{self.levels[-1]}`"
        scale = "" if numbers and not self.colour else f"{levels}: {low:.2f} to {high:.2f}; "
        return (
            f"{scale}{self.noise} noise; {self.assigned} best one-to-one assignment, "
            f"{self.best} best teacher layer of the row, {self.both} both"
        )


PLAIN = Ink("0123456789", ".", "#", "+", "*")
SHADES = Ink("░▒▓█", "·", "◆", "◇", "•")
COLOUR = Ink("", "·", "◆", "◇", "•", colour=True)


def similarity_table(similarity: Similarity) -> RenderableType:
    """The matrix for a terminal; its form depends on the width and the colours of the console."""
    return _SimilarityTable(similarity)


@dataclass(frozen=True)
class _SimilarityTable:
    similarity: Similarity

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ink, annotations = _ink(console, options), annotate(self.similarity)
        table = _numbers(self.similarity, annotations, ink)
        yield Text(_title(self.similarity))
        if Measurement.get(console, options.update(max_width=10_000), table).maximum <= options.max_width:
            yield table
            yield Text("[ ] best one-to-one assignment, * best teacher layer of the row, ( ) noise", style="dim")
        else:
            yield from _map(self.similarity, annotations, ink, options.max_width)


def _ink(console: Console, options: ConsoleOptions) -> Ink:
    if console.color_system in ("truecolor", "256") and not console.no_color:
        return COLOUR
    return SHADES if console.is_terminal and not options.ascii_only else PLAIN


def _title(similarity: Similarity) -> str:
    rows, columns = shorten(similarity.student_layers)[0], shorten(similarity.teacher_layers)[0]
    shared = [f" `{pattern}`" if pattern != "*" else "" for pattern in (rows, columns)]
    return f"{MEASURE_TITLES[similarity.measure]}: student rows{shared[0]}, teacher columns{shared[1]}"


def _numbers(similarity: Similarity, annotations: Annotations, ink: Ink) -> Table:
    """All values, marked by brackets and a star, and coloured if the terminal has colours."""
    span = colour_range(similarity)
    table = Table("")
    for name in shorten(similarity.teacher_layers)[1]:
        table.add_column(Text(name), justify="right", no_wrap=True)
    for s, name in enumerate(shorten(similarity.student_layers)[1]):
        cells = []
        for t, value in enumerate(similarity.values[s]):
            text = f"({rounded(value)})" if (s, t) in annotations.noise else rounded(value)
            text = f"[{text}]" if (s, t) in annotations.assigned else text
            star = "*" if (s, t) in annotations.best else " "
            cells.append(Text(text + star, style=_style(value, span, (s, t) in annotations.noise, ink)))
        table.add_row(Text(name), *cells)
    return table


def _map(similarity: Similarity, annotations: Annotations, ink: Ink, width: int) -> Iterator[Text]:
    """A cell per pair of layers, in as many blocks of columns as the width requires."""
    span = colour_range(similarity)
    names = [_short(name, ink) for name in shorten(similarity.student_layers)[1]]
    heads, key = _heads(shorten(similarity.teacher_layers)[1])
    margin, n_columns = max(map(len, names)) + 1, len(heads)
    narrow = 1 if ink.colour else 2  # without colours, the second letter is the mark
    cell = next((cell for cell in (NUMBER_WIDTH, 2) if margin + cell * n_columns <= width), narrow)
    n_blocks = -(-n_columns // max(1, (width - margin) // cell))
    step = -(-n_columns // n_blocks)
    for start in range(0, n_columns, step):
        block = range(start, min(start + step, n_columns))
        yield from _head_lines([heads[t] for t in block], margin, cell)
        for s, name in enumerate(names):
            line = Text(name.rjust(margin - 1) + " ", no_wrap=True)
            for t in block:
                line.append_text(_cell(similarity.values[s][t], (s, t), annotations, ink, span, cell))
            yield line
    if key:
        yield Text(f"columns: {key}", style="dim")
    yield Text(ink.legend(*span, numbers=cell == NUMBER_WIDTH), style="dim")


def _cell(value: float, at: Cell, annotations: Annotations, ink: Ink, span: tuple[float, float], width: int) -> Text:
    """A number, a level or a colour, as width and ink allow, followed or replaced by its mark."""
    kinds = {(True, True): ink.both, (True, False): ink.assigned, (False, True): ink.best}
    mark, noise = kinds.get((at in annotations.assigned, at in annotations.best), ""), at in annotations.noise
    if noise:
        text = (ink.noise.rjust(4) if width == NUMBER_WIDTH else ink.noise) + mark if width > 1 else mark or ink.noise
    elif width == NUMBER_WIDTH:
        text = rounded(value).rjust(4) + mark
    elif ink.colour:
        text = mark
    else:
        level = ink.levels[int(_fraction(value, span) * (len(ink.levels) - 1e-9))]
        text = level + (mark or (" " if ink is PLAIN else level))
    return Text(text.ljust(width), style=_style(value, span, noise, ink))


def _fraction(value: float, span: tuple[float, float]) -> float:
    low, high = span
    return min(1.0, max(0.0, (value - low) / (high - low)))


def _style(value: float, span: tuple[float, float], noise: bool, ink: Ink) -> str:
    """Viridis as the background if there are colours; noise is dim."""
    if noise or not ink.colour:
        return "dim" if noise else ""
    place = _fraction(value, span) * (len(VIRIDIS) - 1)
    first = min(int(place), len(VIRIDIS) - 2)
    red, green, blue = (
        round(a + (b - a) * (place - first)) for a, b in zip(VIRIDIS[first], VIRIDIS[first + 1], strict=True)
    )
    return f"{'black' if green > 140 else 'white'} on rgb({red},{green},{blue})"


def _heads(labels: Sequence[str]) -> tuple[list[str], str]:
    """The column heads, and the key to them if the names are too long to be the heads themselves."""
    if max(map(len, labels)) <= 4:
        return list(labels), ""
    return [str(t) for t in range(len(labels))], ", ".join(f"{t} = {name}" for t, name in enumerate(labels))


def _head_lines(heads: Sequence[str], margin: int, cell: int) -> Iterator[Text]:
    """Column heads, written downwards if a column is narrower than its name."""
    if cell == NUMBER_WIDTH:
        yield Text(" " * margin + "".join(head.rjust(4).ljust(cell) for head in heads).rstrip(), style="bold")
        return
    depth = max(map(len, heads))
    for line in zip(*(head.rjust(depth) for head in heads), strict=True):
        yield Text(" " * margin + "".join(letter.ljust(cell) for letter in line).rstrip(), style="bold")


def _short(name: str, ink: Ink) -> str:
    """The end of a long name, which is where names differ most."""
    dots = ".." if ink is PLAIN else "…"
    return name if len(name) <= _WIDEST_LABEL else dots + name[len(dots) - _WIDEST_LABEL :]
