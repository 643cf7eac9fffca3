import pytest
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mapsearch.report.narrow_table import fit

ROWS = [
    ("none", "BEATS", "+0.0458", "+0.0305 .. +0.0612", "6", "41"),
    ("uniform", "not asked", "-", "-", "-", "-"),
    ("outputs_equal_time (100 steps)", "context", "+0.0231", "-", "4", "97"),
]


def shown(width):
    table = Table(box=SIMPLE_HEAD)
    for name in ("", "outcome", "gain", "95 % interval", "seeds", "trial"):
        table.add_column(name, overflow="fold", justify="left" if name in ("", "outcome") else "right")
    for row in ROWS:
        table.add_row(*row)
    fit(table, width)
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    return capture.get()


@pytest.mark.parametrize("width", [57, 60, 70, 80, 120])
def test_no_word_and_no_number_is_cut_where_the_words_have_room(width):
    lines = shown(width).splitlines()
    words = [word for row in ROWS for cell in row for word in cell.split()]
    below = next(i for i, line in enumerate(lines) if "─" in line) + 1
    assert sorted(word for line in lines[below:] for word in line.split()) == sorted(words)
    assert max(map(len, lines)) <= width


def test_what_lacks_least_is_whole_first():
    assert "95 % interval" in shown(80)
    assert "+0.0305 .. +0.0612" in shown(80)
    assert "outputs_equal_time (100 steps)" not in shown(80)


def test_a_wide_table_stays_as_it_is_and_one_without_room_folds():
    assert shown(120).splitlines()[3].startswith("  none      ")
    assert max(map(len, shown(30).splitlines())) <= 30


@pytest.mark.parametrize("width", [60, 80])
def test_names_fold_at_their_dots_where_whole_ones_have_no_room(width):
    names = ("vit.layers.10.attention.q_proj", "vit.embeddings.patch_embeddings.projection")
    table = Table()
    for name in ("layer", "type", "feature", "use"):
        table.add_column(name, overflow="fold")
    for name in names:
        table.add_row(Text(name), Text("ViTPatchEmbeddings"), "tokens 17x16", Text(f"choose `{name}#0`"))
    fit(table, width)
    console = Console(width=width)
    with console.capture() as capture:
        console.print(table)
    cells = [line.split("│")[1].split() for line in capture.get().splitlines() if line.startswith("│")]
    parts = [part for cell in cells for part in cell]
    assert "".join(parts) == "".join(names)
    assert all(part.endswith(".") or part.endswith(("q_proj", "projection")) for part in parts)
    assert {"17x16", "tokens"} <= {part for line in capture.get().split("│") for part in line.split()}
    assert max(map(len, capture.get().splitlines())) <= width
