"""Arrows point down only: the table of rooms held against every import that is really there."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "mapsearch"


def floors() -> list[list[str]]:
    """The rooms of CONTRIBUTING's table, row by row from the top."""
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \|", text.partition("## Rooms and arrows")[2].partition("## ")[0], re.M)
    return [[name.strip("`").removesuffix("/") for name in row.split()] for row in rows]


# Room -> the other rooms of ours that it may import: those of the rows below; a room may always import itself.
FLOORS = floors()
MAY_IMPORT = {name: {x for row in FLOORS[i + 1 :] for x in row} for i, names in enumerate(FLOORS) for name in names}
# Library -> the only rooms or files that may import it.
KEPT_IN = {
    "sqlalchemy": ("store/",),
    "alembic": ("store/",),
    "optuna": ("proposers/optuna_record.py", "proposers/importances.py"),
}
NOT_IN_CORE = {"torch", "numpy", "scipy", "sqlalchemy", "optuna"}

# templates/ is what `init` writes out: user code, not ours
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "templates" not in path.relative_to(PACKAGE).parts)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import of the file, those inside functions as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute, so that the room can be read"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    for line, name in imports(path):
        first, *rest = name.split(".")
        if first == "mapsearch" and rest != ["__version__"]:
            yield line, rest[0] if rest else "__init__"


def test_every_file_is_found_and_stands_in_a_known_room():
    assert len(FILES) == sum(1 for path in PACKAGE.rglob("*.py") if "/templates/" not in path.as_posix()) >= 150
    strangers = [str(path) for path in FILES if room(path) not in MAY_IMPORT]
    assert not strangers, f"name the room of {strangers} in CONTRIBUTING.md"


def test_the_reader_sees_every_kind_of_import(tmp_path):
    text = "import mapsearch.cli\nfrom mapsearch import port\ndef f():\n    from mapsearch.store.store import Store\n"
    (tmp_path / "module.py").write_text(text)
    assert list(imported_rooms(tmp_path / "module.py")) == [(1, "cli"), (2, "port"), (4, "store")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_down(path):
    allowed = MAY_IMPORT[room(path)] | {room(path)}
    upwards = [f"{path}:{line} imports {other}" for line, other in imported_rooms(path) if other not in allowed]
    assert not upwards


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_stay_in_their_rooms(path):
    where = path.relative_to(PACKAGE).as_posix()
    strays = [
        f"{path}:{line} imports {name}"
        for line, name in imports(path)
        if not where.startswith(KEPT_IN.get(name.split(".")[0], ("",)))
        or (room(path) == "core" and name.split(".")[0] in NOT_IN_CORE)
    ]
    assert not strays


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_circle_hides_behind_type_checking(path):
    assert "TYPE_CHECKING" not in path.read_text(encoding="utf-8")
