from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mapsearch.core.text import printable
from mapsearch.report.cell_text import cell_text


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_a_cell_shows_any_text_as_text(text):
    console = Console(width=10_000, color_system="truecolor", force_terminal=True)
    with console.capture() as capture:
        console.print(cell_text(text), soft_wrap=True)
    assert capture.get() == printable(text) + "\n"
