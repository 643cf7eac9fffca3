"""Troubleshooting explains messages that there are: its words are those of the code."""

import ast
import re
from pathlib import Path

import pytest

import mapsearch

PAGE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
WORDS = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
CODE = [
    node.value
    for path in Path(mapsearch.__file__).parent.rglob("*.py")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.Constant) and isinstance(node.value, str)
]


@pytest.mark.parametrize("words", WORDS)
def test_the_message_is_one_of_ours(words):
    assert any(words in text for text in CODE), f"no message says `{words}`"


def test_no_message_stands_twice():
    assert len(WORDS) == len(set(WORDS)) > 20
