"""Whatever a file holds: plain data, or one plain error for each problem, in bounded time and memory."""

import tracemalloc

import pytest

from mapsearch.core.errors import SpecError
from mapsearch.core.yaml_text import MAX_ALIASES, MAX_BYTES, MAX_DEPTH, MAX_NODES, decode, parse_yaml


def bomb(n_leaves):
    """Nested aliases: 256 times the leaves in nine lines."""
    lines = [f"a0: &a0 [{', '.join('x' * n_leaves)}]"]
    return "\n".join([*lines, *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 9))])


def chain(n):
    """Aliases that nest without growing."""
    return "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} {'[' * 15}*a{i - 1}{']' * 15}" for i in range(1, n))])


def refused(text):
    with pytest.raises(SpecError) as caught:
        parse_yaml(text)
    assert all("\n" not in problem and len(problem) < 300 for problem in caught.value.problems)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (f"a: {'[' * 100_000}", 1, f"more than {MAX_DEPTH} levels deep"),
        ("".join(f"{' ' * i}a:\n" for i in range(60)), MAX_DEPTH + 1, f"more than {MAX_DEPTH} levels deep"),
        ("a:\n" + "- 1\n" * MAX_NODES, MAX_NODES - 1, f"more than {MAX_NODES} keys and values"),
        (bomb(100), 8, "aliases"),
        (chain(6), 3, "aliases"),
        ("x: &x [1]\n" + f"y: [{', '.join(['*x'] * (MAX_ALIASES + 1))}]", 2, f"more than {MAX_ALIASES} aliases"),
        ("a: &a [*a]", 1, "contains itself"),
        ("a: 1\nb: &b {c: {d: *b}}", 2, "contains itself"),
        ("a: &a {<<: *a}", 1, "contains itself"),
        ("n: 1\na: " + "1" * 5_000, 2, "a number of 5000 digits; put it in quotes"),
        ("a: 0x_", 1, "`0x_` is not a number; put it in quotes"),
        ("a: !!bool perhaps", 1, "`perhaps` is not a boolean"),
        ("a: 2024-01-01", 1, "is read as a date; put it in quotes"),
        ("a: 2024-99-99", 1, "is read as a date; put it in quotes"),
        ("a: =", 1, "put it in quotes"),
        ("a: !!python/object:os.system x", 1, "the tag .*os.system` is not allowed"),
        ("a: !!set {x}", 1, "the tag `!!set` is not allowed"),
        ("a: !!binary eA==", 1, "the tag `!!binary` is not allowed"),
        ("a: 1\nb: x\x1b[2J", 2, r"character U\+001B is not allowed in YAML; delete it"),
        ("a: \x00", 1, r"U\+0000"),
        ("a:\n\tb: 1", 2, "a tab cannot indent; use spaces"),
        ("a: 1\n b: 2", 2, "unexpected `:`"),
        ("a:\n  b: 1\n c: 2", 3, "the indentation does not fit"),
        ("a: 'x\nb: 1", 2, "a quote is opened and never closed"),
        ("a: 1\nb", 2, "a key must be followed by `: `"),
        ("a: *b", 1, "undefined alias"),
        ("a: 1\n---\nb: 2", 2, "a second document"),
        ("a: [1", 1, "not valid YAML"),
        ("a: !!map x", 1, "not valid YAML"),
        ("a: {<<: 1}", 1, "not valid YAML"),
    ],
)
def test_one_plain_error_names_the_line(text, line, words):
    (problem,) = refused(text)
    assert f"line {line}: " in problem
    with pytest.raises(SpecError, match=words):
        parse_yaml(text)


def test_nested_aliases_take_no_memory():
    tracemalloc.start()
    for text in (bomb(10_000), "\n".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30))):
        refused(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6


def test_all_values_that_are_not_plain_data_are_told_at_once():
    problems = refused("a: 2024-01-01\nb: [1, !!set {x}]\nc: 1\nc: 2")
    assert [problem.split(":")[0] for problem in problems] == ["line 1", "line 2", "line 4"]


@pytest.mark.parametrize(
    ("text", "data", "problem"),
    [
        ("a: 1\nb: 2\na: 3", {"a": 1, "b": 2}, "line 3: key `a` is given twice, first on line 1"),
        ("a: {b: 1, b: 2}", {"a": {"b": 1}}, "line 1: key `b` is given twice"),
        ("1: 2\na: 1", {"a": 1}, "line 1: key `1` is read as a number; put it in quotes"),
        ("on: 2", {}, "line 1: key `on` is read as a boolean; put it in quotes"),
        ("a: 1\n? [x]\n: 1", {"a": 1}, "line 2: a key must be text"),
        ("~: 1", {}, "line 1: key `~` is read as no value"),
        ("2024-01-01: 1", {}, "is read as a date"),
    ],
)
def test_a_key_that_is_not_text_or_comes_twice_leaves_the_rest_readable(text, data, problem):
    result, problems = parse_yaml(text)
    assert result == data
    assert len(problems) == 1
    assert problem in problems[0]


def test_aliases_and_merged_keys_within_reason_are_read():
    assert parse_yaml("a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: *a") == (
        {"a": {"x": 1}, "b": {"x": 1, "y": 2}, "c": {"x": 1}},
        [],
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_nothing_is_nothing(text):
    assert parse_yaml(text) == (None, [])


@pytest.mark.parametrize("content", [b"a: 1", b"\xef\xbb\xbfa: 1"])
def test_a_byte_order_mark_of_utf_8_is_no_content(content):
    assert parse_yaml(decode(content)) == ({"a": 1}, [])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: 1\nb: Käse".encode("latin-1"), "line 2: byte 0xe4 is not UTF-8; save the file as UTF-8"),
        ("a: 1".encode("utf-16"), "UTF-16; save it as UTF-8"),
        (b"a" * (MAX_BYTES + 1), "larger than 256 KiB"),
    ],
)
def test_bytes_that_are_not_the_text_of_a_study_file(content, words):
    with pytest.raises(SpecError, match=words):
        decode(content)
