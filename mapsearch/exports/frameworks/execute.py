"""Written Python files, executed."""

from pathlib import Path
from typing import Any


def executed(path: Path) -> dict[str, Any]:
    """The names that a written Python file defines; an import would leave a `__pycache__` beside it."""
    namespace: dict[str, Any] = {"__name__": path.stem}
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), namespace)
    return namespace
