"""Text of exported files."""

import ast

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mapsearch.exports.render.text_layout import (
    Call,
    Name,
    comments,
    docstring_line,
    dumped_yaml,
    laid_out,
    literal,
    rounded,
)

VALUES = st.recursive(
    st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@given(VALUES)
def test_a_literal_reads_back_and_shows_all_that_it_holds(value):
    for text in (literal(value), laid_out(value, 4)):
        assert ast.literal_eval(text) == value
        assert text.replace("\n", "").isprintable()


def test_a_call_is_laid_out_with_its_arguments_by_name():
    call = Call("Term", {"student": "a" * 60, "loss": Name("nmse"), "projector": Call("Linear", {"width": 4})})
    assert literal(call) == f'Term(student="{"a" * 60}", loss=nmse, projector=Linear(width=4))'
    assert laid_out(call, 40) == (
        f'Term(\n{" " * 44}student="{"a" * 60}",\n{" " * 44}loss=nmse,\n'
        f"{' ' * 44}projector=Linear(width=4),\n{' ' * 40})"
    )
    assert rounded(1 / 3) == 0.33333333


@given(st.text())
def test_a_docstring_line_neither_ends_nor_changes_its_docstring(text):
    module = ast.parse(f'"""Head.\n\n{docstring_line(text)}\n"""\nX = 1\n')
    assert [type(node) for node in module.body] == [ast.Expr, ast.Assign]
    assert docstring_line(text).replace("\n", "").isprintable()


@given(st.lists(st.text()))
def test_comments_stay_comments(lines):
    text = comments(lines)
    assert len(text.splitlines()) == len(lines)
    assert yaml.safe_load(text) is None
    assert ast.parse(text).body == []


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"]))
    )
)
def test_yaml_reads_back_and_shows_all_that_it_holds(data):
    text = dumped_yaml(data, default_flow_style=None)
    assert yaml.safe_load(text) == data
    assert text.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "word", ["no", "null", "~", "1e3", "0x10", "2026-01-01", "- a", "a: b", "#x", "étage_2", "*a", "!x"]
)
def test_words_of_yaml_are_quoted_where_they_are_names(word):
    assert yaml.safe_load(dumped_yaml({word: [word]})) == {word: [word]}
