"""Where a test stands: the rule of CONTRIBUTING, held against every file of tests/."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "mapsearch"
DOCS = TESTS.parent / "docs"

BEYOND_A_ROOM = {"whole_studies", "cluster", "frameworks", "benchmarks", "browser", "cuda", "standin_device", "docs"}
"""Folders for what no single module does; their files are named after the behaviour."""
OF_THE_HOUSE = {"rooms", "layout"}
"""What is tested of the package as a whole."""

FILES = sorted(TESTS.rglob("test_*.py"))


def subject(room: str, name: str) -> Path | None:
    """What the tests `tests/ROOM/test_NAME.py` are about, or None when the rule names nothing."""
    places = [PACKAGE / room / f"{name}.py", PACKAGE / room / name / "__init__.py"]
    if name == "init":
        places = [PACKAGE / room / "__init__.py"]
    if name == "contract":  # what every row of the room's table must hold
        places = [PACKAGE / room]
    if name == "docs":  # the examples of the room's page
        places = [DOCS / f"{room}.md"]
    return next((place for place in places if place.exists()), None)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_a_test_file_is_named_after_what_it_tests(path):
    room, name = path.parent.relative_to(TESTS).as_posix(), path.stem.removeprefix("test_")
    if room not in BEYOND_A_ROOM and not (room == "." and name in OF_THE_HOUSE):
        assert subject(room, name), f"{path}: no module mapsearch/{room}/{name}.py; see Tests in CONTRIBUTING.md"


def test_the_rule_tells_right_from_wrong():
    assert subject("core", "mapping") == PACKAGE / "core/mapping.py"
    assert subject("store", "migrations") == PACKAGE / "store/migrations/__init__.py"
    assert subject("losses", "contract") == PACKAGE / "losses"
    assert subject("exports", "docs") == DOCS / "exports.md"
    assert [subject(*place) for place in (("core", "loss"), ("losse", "contract"), ("core", "docs"))] == [None] * 3
