"""Self-contained files: what a module imports from mapsearch is replaced by its source text.

The source is read from files with `ast`; no module is imported for it, so no torch either.
"""

import ast
import sys
from collections.abc import Iterator
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
    """A function, class or constant at the top level of a module, as its file has it."""

    module: str
    name: str
    text: str
    names: tuple[str, ...]
    is_constant: bool


@dataclass(frozen=True)
class Module:
    """What a Python file defines and imports at its top level, by name."""

    imports: dict[str, Import]
    definitions: dict[str, Definition]


def inlined(text: str) -> str:
    """The text of a Python module with the source of what it uses of mapsearch in place of those imports.

    Imports of other packages are those that the text and the source together need. Each definition is followed by
    what it calls; constants come first, as they are needed when the rest is defined.
    """
    tree, module = ast.parse(text), _module("", text)
    lines = text.splitlines(keepends=True)
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    first, last = (imports[0].lineno - 1, imports[-1].end_lineno or 0) if imports else (0, 0)
    definitions: dict[str, Definition] = {}
    needed: set[Import] = set()
    for name in _names(tree):
        _collect(name, module, definitions, needed)
    head, body = "".join(lines[:first]) + _import_block(needed), "".join(lines[last:])
    ordered = sorted(definitions.values(), key=lambda definition: not definition.is_constant)
    source = "".join(f"\n\n{definition.text}" for definition in ordered)
    before, marker, after = body.partition(INLINED)
    text = head + (f"{before.rstrip()}\n{source}\n\n{after}" if marker else body.rstrip() + "\n" + source)
    return text.strip() + "\n"


def definition(module: str, name: str) -> Definition:
    """The definition of a name that a module of mapsearch defines, or imports from another one.

    Raises:
        LookupError: it does neither.
    """
    read = _read(module)
    if name in read.definitions:
        return read.definitions[name]
    if name in read.imports and read.imports[name].is_ours:
        return definition(read.imports[name].module, read.imports[name].name)
    raise LookupError(f"{module} has no `{name}`")


def _collect(name: str, module: Module, definitions: dict[str, Definition], needed: set[Import]) -> None:
    """Add what the name stands for in the module, and all that this uses in turn."""
    imported = module.imports.get(name)
    if imported is not None and not imported.is_ours:
        needed.add(imported)
        return
    if imported is not None:
        part = definition(imported.module, imported.name)
    elif name in module.definitions and module.definitions[name].module:
        part = module.definitions[name]
    else:  # a local variable, a builtin, or defined in the text itself
        return
    if part.name in definitions:
        assert definitions[part.name] == part, f"two definitions of `{part.name}` in one file"
        return
    definitions[part.name] = part
    for used in part.names:
        _collect(used, _read(part.module), definitions, needed)


@cache
def _read(module: str) -> Module:
    path = _PACKAGE.parent.joinpath(*module.split("."))
    place = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return _module(module, place.read_text(encoding="utf-8"))


def _module(module: str, text: str) -> Module:
    imports: dict[str, Import] = {}
    definitions: dict[str, Definition] = {}
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            imports |= {alias.asname or alias.name: _import(node, alias) for alias in node.names}
            continue
        for name in _defined(node):
            decorators = node.decorator_list if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []
            start = min([node.lineno, *(decorator.lineno for decorator in decorators)])
            source = "".join(lines[start - 1 : node.end_lineno])
            is_constant = isinstance(node, (ast.Assign, ast.AnnAssign))
            definitions[name] = Definition(module, name, source.rstrip() + "\n", tuple(_names(node)), is_constant)
    return Module(imports, definitions)


def _import(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> Import:
    if isinstance(node, ast.Import):
        return Import(alias.name, alias=alias.asname or "")
    assert node.module is not None
    return Import(node.module, alias.name, alias.asname or "")


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


def _import_block(imports: set[Import]) -> str:
    """The imports as formatters sort them: the standard library, a blank line, and all others."""
    groups: list[list[Import]] = [[], []]
    for one in imports:
        groups[one.module.partition(".")[0] not in sys.stdlib_module_names].append(one)
    return "\n\n".join("\n".join(_import_lines(group)) for group in groups if group) + "\n"


def _import_lines(imports: list[Import]) -> Iterator[str]:
    for one in sorted((x for x in imports if not x.name), key=lambda x: x.module):
        yield f"import {one.module}{f' as {one.alias}' if one.alias else ''}"
    for module in sorted({x.module for x in imports if x.name}):
        names = [f"{x.name} as {x.alias}" if x.alias else x.name for x in imports if x.name and x.module == module]
        yield f"from {module} import {', '.join(sorted(names, key=_constants_first))}"


def _constants_first(name: str) -> tuple[int, str]:
    """Formatters sort constants before classes before functions."""
    return (0 if name.isupper() else 1 if name.lstrip("_")[0].isupper() else 2, name)
