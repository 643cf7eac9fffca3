"""What a benchmark found, kept as a page and as numbers."""

import json
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from benchmarks.machine import machine_name

RECORDED = Path(__file__).parent / "recorded"


def record(folder: Path, name: str, text: str, numbers: Any) -> None:
    """Write `NAME.md` and `NAME.json`; the folder is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(f"{text}\n", encoding="utf-8")
    (folder / f"{name}.json").write_text(json.dumps(numbers, indent=1), encoding="utf-8")


def on_database(url: str, measured: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured, with the kind of database, the machine and the version of Python that it was measured on."""
    database = make_url(url).get_backend_name()
    return {"database": database, "machine": machine_name(), "python": sys.version.split()[0], **measured}


def report_on_database(
    name: str, url: str, measured: Mapping[str, Any], page: Callable[[dict[str, Any], str], str], *, is_recorded: bool
) -> None:
    """Print the page of what was measured on a database, and record it as `NAME-DATE`, with the database if another."""
    numbers, date = on_database(url, measured), f"{datetime.now(UTC):%Y-%m-%d}"
    print(page(numbers, date))
    if is_recorded:
        suffix = "" if numbers["database"] == "sqlite" else f"-{numbers['database']}"
        record(RECORDED, f"{name}-{date}{suffix}", page(numbers, date), numbers)
