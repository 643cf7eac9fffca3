"""What could not be written to the study database, kept on disk until it can be: a small file that only grows."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapsearch.core.runs import RunKey, RunResult
from mapsearch.store.rows import result_json, result_of


@dataclass(frozen=True)
class Begun:
    """A worker began with an attempt of a run."""

    key: RunKey
    attempt: int
    worker: str


@dataclass(frozen=True)
class Ended:
    """An attempt of a run ended; `value` is the study's metric, if it has one."""

    result: RunResult
    value: float | None


Record = Begun | Ended


class Spool:
    """The records of a study that wait to be written; on disk each is there before the next is taken.

    Where the disk does not take them, they are kept in memory.

    Args:
        path: the file; it is made with the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        whole = _whole_lines(_read(path))
        self._records = list(_records(whole))
        self._length = len(whole)
        self._problem = ""

    @property
    def records(self) -> tuple[Record, ...]:
        """What waits, oldest first."""
        return tuple(self._records)

    @property
    def n_results(self) -> int:
        """How many of the records are results."""
        return sum(isinstance(record, Ended) for record in self._records)

    @property
    def place(self) -> str:
        """Where the records are, for messages."""
        return f"in memory, as {self.path} cannot be written ({self._problem})" if self._problem else f"in {self.path}"

    def append(self, record: Record) -> None:
        """Keep a record; if the process is killed a moment later, the file has it."""
        self._records.append(record)
        line = json.dumps(_plain(record), allow_nan=False).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                self._length = min(self._length, os.fstat(file.fileno()).st_size)  # somebody may have removed it
                file.truncate(self._length)  # behind it stands a record of which a part was written
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._problem = str(error.strerror)
        else:
            self._length += len(line)

    def clear(self) -> None:
        """Everything is written: forget it."""
        self._records, self._length, self._problem = [], 0, ""
        with suppress(OSError):  # what is written twice changes nothing
            self.path.unlink(missing_ok=True)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _whole_lines(data: bytes) -> bytes:
    """Without the last line if only a part of it was written."""
    return data[: data.rfind(b"\n") + 1]


def _plain(record: Record) -> dict[str, object]:
    if isinstance(record, Begun):
        return {"begun": record.key, "attempt": record.attempt, "worker": record.worker}
    result = record.result
    return {"ended": result.key, "attempt": result.attempt, "value": record.value, "result": result_json(result)}


def _records(lines: bytes) -> Iterator[Record]:
    """The records of whole lines; one that is damaged is left out, and its run is trained again."""
    for line in lines.splitlines():
        with suppress(ValueError, LookupError, TypeError):
            yield _record(json.loads(line))


def _record(data: dict[str, Any]) -> Record:
    attempt, value = data["attempt"], data.get("value")
    if "begun" in data:
        return Begun(_key(data["begun"]), _whole(attempt), str(data["worker"]))
    result = result_of(_key(data["ended"]), _whole(attempt), data["result"])
    return Ended(result, value if isinstance(value, float) else None)


def _key(value: object) -> RunKey:
    trial, rung, seed = map(_whole, value)  # type: ignore[call-overload]  # what is no row of numbers raises
    return trial, rung, seed


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"expected a whole number, got {value!r}")
    return value
