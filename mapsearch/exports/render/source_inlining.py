"""Self-contained files: what a module imports from mapsearch is replaced by its source text.

The source is read from files with `ast`; no module is imported for it, so no torch either.
"""

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

INLINED = "# <inlined>\n"
"""The line of a template at which the source is put; without it, at the end."""

_PACKAGE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Import:
    """One imported name: `from module import name`, or `import module` where `name` is empty."""

    module: str
    name: str = ""
    alias: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether it comes from mapsearch."""
        return self.module.partition(".")[0] == _PACKAGE.name


@dataclass(frozen=True)
class Definition:
    """A function, class or constant at the top level of a module, as its file has it, and the names it reads."""

    module: str
    name: str
    text: str
    names: tuple[str, ...]
    is_constant: bool


Parts = list[Import | Definition]


def inlined(text: str) -> str:
    """The text of a Python module with the source of what it uses of mapsearch in place of those imports.

    Imports of other packages are those that the text and the source together need. Each definition stands after
    what it uses, constants first.
    """
    tree, meanings = ast.parse(text), _meanings("", text)
    seen: set[Import | Definition] = set()
    found: Parts = []
    for name in _names(tree):
        if isinstance(meanings.get(name), Import):  # what the text itself defines stays where it is
            _collect(meanings[name], seen, found)
    definitions = [part for part in found if isinstance(part, Definition)]
    assert len({part.name for part in definitions}) == len(definitions), "two definitions of one name in one file"
    constants = "".join(part.text for part in definitions if part.is_constant)
    others = [part.text for part in definitions if not part.is_constant]
    source = "".join(f"\n\n{text}" for text in (constants, *others) if text)
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    lines, block = text.splitlines(keepends=True), _import_block([part for part in found if isinstance(part, Import)])
    before, marker, after = "".join(lines[imports[-1].end_lineno :]).partition(INLINED)
    head = "".join(lines[: imports[0].lineno - 1]) + block
    return f"{head}{before.rstrip()}\n{source}{after if marker else ''}".strip() + "\n"


def definition(module: str, name: str) -> Definition:
    """The definition of a name that a module of mapsearch defines, or imports from another one.

    Raises:
        LookupError: it does neither.
    """
    meaning = _of_module(module).get(name)
    if isinstance(meaning, Import) and meaning.is_ours:
        return definition(meaning.module, meaning.name)
    if isinstance(meaning, Definition):
        return meaning
    raise LookupError(f"{module} has no `{name}`")


def _collect(meaning: Import | Definition | None, seen: set[Import | Definition], found: Parts) -> None:
    """Add what a name stands for, after all that this uses in turn; no meaning: a local variable or a builtin."""
    if isinstance(meaning, Import) and meaning.is_ours:
        meaning = definition(meaning.module, meaning.name)
    if meaning is None or meaning in seen:
        return
    seen.add(meaning)
    if isinstance(meaning, Definition):
        for name in meaning.names:
            _collect(_of_module(meaning.module).get(name), seen, found)
    found.append(meaning)


@cache
def _of_module(module: str) -> dict[str, Import | Definition]:
    path = _PACKAGE.parent.joinpath(*module.split("."))
    place = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return _meanings(module, place.read_text(encoding="utf-8"))


def _meanings(module: str, text: str) -> dict[str, Import | Definition]:
    """What the names at the top level of a module stand for."""
    meanings: dict[str, Import | Definition] = {}
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        for alias in node.names if isinstance(node, (ast.Import, ast.ImportFrom)) else []:
            origin = (node.module or "", alias.name) if isinstance(node, ast.ImportFrom) else (alias.name, "")
            meanings[alias.asname or alias.name] = Import(*origin, alias.asname or "")
        for name in _defined(node):
            decorators = getattr(node, "decorator_list", [])
            start = min([node.lineno, *(decorator.lineno for decorator in decorators)])
            source = "".join(lines[start - 1 : node.end_lineno]).rstrip() + "\n"
            is_constant = isinstance(node, (ast.Assign, ast.AnnAssign))
            meanings[name] = Definition(module, name, source, tuple(_names(node)), is_constant)
    return meanings


def _defined(node: ast.stmt) -> list[str]:
    """The names that a statement defines."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def _names(tree: ast.AST) -> list[str]:
    """The names that are read, in the order of the text."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    return list(dict.fromkeys(node.id for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset))))


def _import_block(imports: Sequence[Import]) -> str:
    """The imports as formatters sort them: the standard library, a blank line, and all others."""
    groups: list[list[Import]] = [[], []]
    for one in imports:
        groups[one.module.partition(".")[0] not in sys.stdlib_module_names].append(one)
    return "\n\n".join("\n".join(_import_lines(group)) for group in groups if group) + "\n"


def _import_lines(imports: Sequence[Import]) -> Iterator[str]:
    for one in sorted((x for x in imports if not x.name), key=lambda x: x.module):
        yield f"import {one.module}{f' as {one.alias}' if one.alias else ''}"
    for module in sorted({x.module for x in imports if x.name}):
        names = [f"{x.name} as {x.alias}" if x.alias else x.name for x in imports if x.name and x.module == module]
        yield f"from {module} import {', '.join(sorted(names, key=_constants_first))}"


def _constants_first(name: str) -> tuple[int, str]:
    """Formatters sort constants before classes before functions."""
    return (0 if name.isupper() else 1 if name.lstrip("_")[0].isupper() else 2, name)
