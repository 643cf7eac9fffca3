import json
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mapsearch.core.text import error_text, printable, printable_json

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))  # lone surrogates too
STEERING = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format (bidi, zero width), surrogates, line and paragraph ends


@given(ANY_TEXT)
@example("\x1b[31mred\x1b[0m")
@example("user\u202etxt.exe\u2066")
@example("\x9b2J and \x00, \ud800, \U000e0041")
def test_nothing_printable_steers_a_terminal(text):
    shown = printable(text)
    assert not [letter for letter in shown if unicodedata.category(letter) in STEERING]
    assert printable(shown) == shown
    shown.encode("utf-8")


@pytest.mark.parametrize("text", ["blocks.0.attn", "± 0.95 ↑ …", "größer", "层.0", "a\\b", "[bold]", "$x$"])
def test_visible_text_stays(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"), [("a\nb", r"a\nb"), ("\x1b[2J", r"\x1b[2J"), ("\u202egnp", r"\u202egnp"), ("a\xa0b", r"a\xa0b")]
)
def test_what_is_not_seen_is_written_out(text, shown):
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("error", "text"), [(ValueError("too\n  small"), "ValueError: too small"), (MemoryError(), "MemoryError")]
)
def test_an_error_is_named_on_one_line(error, text):
    assert error_text(error) == text


@given(st.dictionaries(ANY_TEXT, ANY_TEXT | st.lists(ANY_TEXT) | st.floats(allow_nan=False, allow_infinity=False)))
def test_json_is_printable_and_exact(data):
    text = printable_json(data)
    assert all(line.isprintable() for line in text.split("\n"))
    assert json.loads(text) == data
