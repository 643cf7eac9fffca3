"""Calling the user's code: what goes wrong there becomes one line with the place in the user's own file."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mapsearch.core.errors import MEMORY_RAN_OUT, MapsearchError, TaskError
from mapsearch.core.text import error_text, printable
from mapsearch.tasks.memory import is_out_of_memory

_PACKAGE = Path(__file__).resolve().parents[1]


@contextmanager
def user_code(what: str) -> Iterator[None]:
    """Turns an exception of the user's code, `sys.exit` included, into a `TaskError` that says where it happened.

    `is_out_of_memory` still knows one for want of memory.
    """
    try:
        yield
    except TaskError:
        raise
    except (Exception, SystemExit) as error:
        raise TaskError(failure(what, error)) from error


@contextmanager
def no_exit(what: str) -> Iterator[None]:
    """Turns `sys.exit` in the user's code into a `TaskError`: it would end the process without a word."""
    try:
        yield
    except SystemExit as error:
        raise TaskError(f"{what} failed: {describe(error)}") from error


def failure(what: str, error: BaseException) -> str:
    """What failed and why, with a way out where memory ran out: PyTorch's own words have none."""
    way_out = f"; {MEMORY_RAN_OUT}" if is_out_of_memory(error) else ""
    return f"{what} failed: {describe(error)}{way_out}"


def describe(error: BaseException) -> str:
    """One line: the error's type and text, and the innermost line of code it came from, if possible the user's."""
    if isinstance(error, MapsearchError):
        return "; ".join(error.problems)
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({Path(error.filename or '').name}:{error.lineno})"
    text = error_text(error)
    if isinstance(error, SystemExit):
        text = f"`sys.exit({'' if error.code is None else repr(error.code)})` was called"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_library(frame.filename)] or frames
    where = f" ({Path(own[-1].filename).name}:{own[-1].lineno})" if own else ""
    return printable(f"{text}{where}")  # databases refuse NUL, and lone surrogates, which odd file names hold


def _is_library(filename: str) -> bool:
    path = Path(filename)
    return filename.startswith("<") or "site-packages" in path.parts or path.is_relative_to(_PACKAGE)
