"""The processes that a service starts: they outlive it, and say why they ended."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

TOLD_BYTES = 2000
"""Of what a process said last before it failed."""

WITH_PID_FILE = ("/bin/sh", "-c", 'echo $$ >"$0"; exec "$@"')
"""The process writes its own number before it begins: no service has to live long enough to do so."""


def start(
    arguments: Sequence[str],
    url: str,
    said: IO[bytes],
    *,
    pid_file: Path | None = None,
    inherited: tuple[int, ...] = (),
) -> subprocess.Popen[bytes]:
    """Start `mapsearch` in a session of its own, so that neither Ctrl-C nor the end of the service reaches it.

    Args:
        url: of the study database.
        said: the file for what it says on stderr.
        pid_file: where its number is written.
        inherited: descriptors that it keeps open.
    """
    # -P: nothing is imported from the working folder
    command = [sys.executable, "-P", "-m", "mapsearch", *arguments]
    return subprocess.Popen(
        command if pid_file is None else [*WITH_PID_FILE, str(pid_file), *command],
        env={**os.environ, "MAPSEARCH_STORAGE": url},  # not an argument, which every user of the machine can read
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True, pass_fds=inherited,
    )  # fmt: skip


def reason(code: int, said: IO[bytes]) -> str:
    """Why a process ended, in one line: its own error, or the signal that killed it."""
    if code < 0:
        return f"the process was killed by signal {-code}"
    said.seek(max(0, said.seek(0, os.SEEK_END) - TOLD_BYTES))
    lines = said.read().decode(errors="replace").splitlines()
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return "; ".join(errors) or f"the process ended with exit code {code}"
