"""Files of Python text: a template filled with source text of ours, and just the imports that it needs."""

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import Template
from textwrap import fill
from typing import Any

_STANDARD_IMPORTS = """
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import cos, pi
from typing import Any
"""
_TORCH_IMPORTS = """
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.hooks import RemovableHandle
"""


def pasted(template: Path, fields: Mapping[str, str], parts: Sequence[Callable[..., Any]]) -> str:
    """The Python text of a template: its fields, `$parts` of our source, and as `$imports` what all that names."""
    shape = Template(template.read_text(encoding="utf-8"))
    told = {**fields, "parts": "".join(f"\n\n{inspect.getsource(part)}" for part in parts)}
    tree = ast.parse(shape.substitute(told, imports=""))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    blocks = (_imports(block, names) for block in (_STANDARD_IMPORTS, _TORCH_IMPORTS))
    text = shape.substitute(told, imports="\n\n".join(block for block in blocks if block))
    return text.rstrip() + "\n"


def executed(path: Path) -> dict[str, Any]:
    """The names of a Python file after it ran; an import would leave a `__pycache__`."""
    namespace: dict[str, Any] = {"__name__": path.stem}
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), namespace)
    return namespace


def with_helpers(function: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The function and those of ours that it calls by a plain name, also from within a comprehension."""
    found = [function]
    for caller in found:  # grows while it is walked
        names = dict.fromkeys(x.id for x in ast.walk(ast.parse(inspect.getsource(caller))) if isinstance(x, ast.Name))
        called = [caller.__globals__[name] for name in names if name in caller.__globals__]
        found += [x for x in called if inspect.isfunction(x) and _is_ours(x) and x not in found]
    return found


def _is_ours(function: Callable[..., Any]) -> bool:
    return function.__module__.partition(".")[0] == __name__.partition(".")[0]


def _imports(block: str, names: set[str]) -> str:
    """Those imports of the block that bind one of the names."""
    lines = []
    for node in ast.parse(block).body:
        assert isinstance(node, (ast.Import, ast.ImportFrom))
        node.names = [alias for alias in node.names if (alias.asname or alias.name) in names]
        lines += [ast.unparse(node)] if node.names else []
    return "\n".join(lines)


def literal(value: object) -> str:
    """`repr` with double quotes, as formatters write it."""
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' * (len(value) == 1)})"
    text = repr(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and '"' not in text else text


def docstring_line(line: str) -> str:
    """The line wrapped, and unable to end the docstring it stands in."""
    safe = " ".join(line.split()).replace("\\", "\\\\").replace('"""', "'''")
    return fill(safe, 115, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
