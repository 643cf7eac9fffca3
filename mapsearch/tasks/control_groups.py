"""What limits on a control group's memory leave: containers and batch systems set them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class _Files(NamedTuple):
    """Where a version of control groups has its numbers: two files' names, and lines of a third, `memory.stat`."""

    folder: str
    limit: str
    used: str
    droppable: tuple[str, str]


VERSION_2 = _Files("", "memory.max", "memory.current", ("active_file", "inactive_file"))
VERSION_1 = _Files(
    "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_active_file", "total_inactive_file")
)

NO_LIMIT = 2**62
"""Version 1 writes a limit near 2^63 where there is none, version 2 `max`."""


def group_bytes_left(groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Memory that this process's control group and those above it may still take; None where nothing limits it.

    What they hold of files and could drop counts as left. Source: Linux, `admin-guide/cgroup-v2` and
    `admin-guide/cgroup-v1/memory`.
    """
    left = (_left(folder, files) for folder, files in _groups(groups, mounted))
    return min((n for n in left if n is not None), default=None)


def _groups(groups: Path, mounted: Path) -> Iterator[tuple[Path, _Files]]:
    """The folders of this process's group and of all above it; in a container, those of its own are enough."""
    for line in groups.read_text(encoding="utf-8").splitlines() if groups.exists() else []:
        _, controllers, path = line.split(":", 2)
        if not controllers or "memory" in controllers.split(","):
            files = VERSION_1 if controllers else VERSION_2
            top = mounted / files.folder
            group = top / path.lstrip("/")
            yield from ((folder, files) for folder in (group, *group.parents) if folder.is_relative_to(top))


def _left(folder: Path, files: _Files) -> int | None:
    try:
        limit, used, stat = ((folder / name).read_text().strip() for name in (files.limit, files.used, "memory.stat"))
        if limit == "max" or int(limit) >= NO_LIMIT:
            return None
        sizes = dict(line.split() for line in stat.splitlines())
        return max(0, int(limit) - int(used) + sum(int(sizes.get(name, 0)) for name in files.droppable))
    except (OSError, ValueError):  # the top one of version 2 has no limit, and not all of a container's can be read
        return None
