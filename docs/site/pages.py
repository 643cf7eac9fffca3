"""Which pages the site has: some are named, the rest is what they link to."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "studies/README.md", "docs/start.md", "docs/style.css")

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def with_what_they_link(root: Path, pages: Iterable[Path]) -> list[Path]:
    """The pages, every page of `docs/`, and all files of the repository that any of them links to."""
    waiting, found = [*pages, *sorted((root / "docs").glob("*.md"))], dict[Path, None]()
    while waiting:
        path = waiting.pop(0).resolve()
        if path in found or not path.is_file():
            continue
        found[path] = None
        waiting += [target for target, _ in links(path)]
    return list(found)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The local files that a page links to, each with the anchor within it, or the empty string."""
    if page.suffix != ".md":
        return
    for link in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z]+:", link):
            path, _, anchor = link.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor
