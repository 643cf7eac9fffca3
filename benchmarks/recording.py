"""What a benchmark found, kept as a page and as numbers."""

import json
from pathlib import Path
from typing import Any


def record(folder: Path, name: str, text: str, numbers: Any) -> None:
    """Write `NAME.md` and `NAME.json`; the folder is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(f"{text}\n", encoding="utf-8")
    (folder / f"{name}.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")
