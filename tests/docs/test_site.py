"""The site's pages and its reference, without building it: `make docs` does that, and a warning ends it."""

import re
import tomllib
from pathlib import Path

import pytest

import mapsearch
from docs.site import commands, python_api, study_file
from docs.site.pages import PAGES, links, with_what_they_link
from mapsearch.cli.main import cli
from mapsearch.core.spec import StudySpec

ROOT = Path(__file__).parents[2]
FOUND = with_what_they_link(ROOT, [ROOT / page for page in PAGES])
MARKDOWN = [path for path in FOUND if path.suffix == ".md"]


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", MARKDOWN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere_here_and_on_github(page):
    broken = [str(target) for target, _ in links(page) if not target.is_relative_to(ROOT) or not target.is_file()]
    broken += [f"{target}#{anchor}" for target, anchor in links(page) if anchor and anchor not in anchors(target)]
    assert not broken


def test_links_are_followed_out_of_docs_and_code_is_no_link(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "table.md").write_text("a table")
    (tmp_path / "docs/a.md").write_text(
        "[b](../table.md#rows) [c](https://elsewhere) [here](#top)\n```\n[d](e.md)\n```\n"
    )
    found = with_what_they_link(tmp_path, [])
    assert found == [tmp_path / "docs/a.md", tmp_path / "table.md"]
    assert list(links(found[0])) == [(tmp_path / "table.md", "rows"), (tmp_path / "docs/a.md", "top")]


def test_every_page_stands_in_the_navigation():
    listed = re.findall(r'= "(\S+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8"))
    assert tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["theme"]["font"] is False
    assert {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")} <= set(listed)
    assert len(listed) == len(set(listed))


def test_the_reference_of_the_commands_has_every_option():
    text = commands.page()
    for command in cli.commands.values():
        section = text.partition(f"## mapsearch {command.name}\n")[2].partition("\n## ")[0]
        assert "Usage" not in section
        shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
        options = [option for parameter in shown for option in parameter.opts if option.startswith("-")]
        assert section
        assert all(option in section for option in options), command.name
    assert "### mapsearch db backup" in text


def test_the_reference_of_the_study_file_has_every_key_with_its_default():
    text = study_file.page()
    for key in StudySpec(name="a", task="a:B").to_json():
        assert f"| `{key}` |" in text or f"\n## {key}\n" in text, key
    assert "| `steps` | `300` | whole number >= 5 | optimizer steps of the full schedule |" in text
    assert "| `name` | required | text |" in text
    assert '| `loss` | `["nmse", "cosine"]` | list of `nmse`, `mse`' in text


def test_the_reference_of_python_has_every_public_name_once():
    names = [name for group in python_api.GROUPS.values() for name in group]
    assert sorted(names) == sorted(mapsearch.__all__)
