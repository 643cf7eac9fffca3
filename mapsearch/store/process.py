"""Which process holds a lease, and whether another one can prove that it is dead."""

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process, told apart from any that had or will have its number.

    Containers of one kernel share the boot id and may share the host's name, but not the PID namespace.
    What a system without `/proc` does not say is None; so is the namespace where `/proc` shows another one's processes.
    `started` is in clock ticks since boot.
    """

    host: str
    pid: int
    boot_id: str | None = None
    pid_namespace: str | None = None
    started: int | None = None


def this_process() -> Process:
    """The process that asks."""
    return Process(socket.gethostname(), os.getpid(), _boot_id(), _pid_namespace(), _started(os.getpid()))


def is_dead(process: Process) -> bool:
    """Whether that process provably ended; False where it cannot be seen from here.

    A namespace's number is given to another only when all of its processes have ended.
    """
    here = this_process()
    places = [(p.host, p.boot_id, p.pid_namespace) for p in (process, here)]
    if None in places[0] or process.started is None or places[0] != places[1]:
        return False
    return _started(process.pid) != process.started


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _pid_namespace() -> str | None:
    try:
        is_shown = os.readlink("/proc/self") == str(os.getpid())
        return os.readlink("/proc/self/ns/pid") if is_shown else None
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """When the live process of that number began; None if there is none, a zombie included."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()  # a program's name may hold spaces and parentheses
    return None if state in "ZX" else int(fields[18])
