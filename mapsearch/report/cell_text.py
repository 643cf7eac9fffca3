"""Text from outside in a table of the terminal."""

from rich.text import Text

from mapsearch.core.text import printable


def cell_text(text: str, style: str = "") -> Text:
    """Text that is shown as it is: `[bold]` is no markup, and control characters are written out."""
    return Text(printable(text), style=style)
