"""A mapping drawn in text: a line for each student layer, with the teacher layers that feed it."""

from itertools import groupby

from mapsearch.core.mapping import LayerMapping, Pair
from mapsearch.core.text import printable
from mapsearch.report.layer_names import shorten


def mapping_lines(mapping: LayerMapping) -> list[str]:
    """``  `blocks.0` <- `layers.3` 30 % + `layers.4` 20 %``, arrows below one another; per cents are of the whole."""
    pairs = mapping.normalised().pairs
    rows = [(f"`{printable(name)}`", list(row)) for name, row in groupby(pairs, key=lambda pair: pair.student)]
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}} <- {_teachers(row)}" for name, row in rows]


def _teachers(row: list[Pair]) -> str:
    """The layers of a row; a family of equal weights is folded: `layers.0-11`."""
    pattern, short = shorten([pair.teacher for pair in row])
    percent = [round(100 * pair.weight) for pair in row]
    if len(row) > 2 and len(set(percent)) == 1 and _are_consecutive(short):
        return f"`{pattern.replace('*', f'{short[0]}-{short[-1]}')}` {100 * sum(pair.weight for pair in row):.0f} %"
    return " + ".join(f"`{printable(pair.teacher)}` {n} %" for pair, n in zip(row, percent, strict=True))


def _are_consecutive(names: tuple[str, ...]) -> bool:
    numbers = [int(name) if name.isdecimal() else None for name in names]
    return None not in numbers and numbers == list(range(int(names[0]), int(names[0]) + len(names)))
