"""The blocks of code in README and docs, in order."""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "studies/README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]


class Block(NamedTuple):
    """A block of code: its page, the heading above it, its number among the page's blocks of that language."""

    page: str
    heading: str
    language: str
    number: int
    code: str


def blocks(*pages: str) -> list[Block]:
    """Every block of these pages."""
    found = []
    for page in pages:
        heading, counts = "", dict[str, int]()
        text = (ROOT / page).read_text(encoding="utf-8")
        for title, language, code in re.findall(r"^#+ ([^\n]+)$|^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            heading = title or heading
            if not title:
                counts[language] = counts.get(language, -1) + 1
                found.append(Block(page, heading, language, counts[language], code))
    return found


def commands(*pages: str) -> list[tuple[str, str]]:
    """(page, command) of every line of a block that calls mapsearch, without comment and surrounding variables."""
    lines = [
        (block.page, part.strip())
        for block in blocks(*pages)
        if block.language in ("", "sh")
        for line in block.code.splitlines()
        for part in line.partition(" #")[0].split(";")
    ]
    called = [(page, re.search(r"^(?:[A-Z_]+=\S+ )*(mapsearch [a-z].*)$", line)) for page, line in lines]
    return [(page, match[1].replace("[", "").replace("]", "")) for page, match in called if match]
