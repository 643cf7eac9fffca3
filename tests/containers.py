"""Commands in containers: each has the number 1, and its host the name that a test gives it."""

import os
import subprocess
import sys

import pytest

AS_HOST = "import os, socket, sys; socket.sethostname(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])"


def container(host: str, *, own_proc: bool = True, own_network: bool = False) -> list[str]:
    """The words before a command that put it into a container of its own; skips the test where that is not allowed.

    Args:
        own_proc: `/proc` is the container's, not that of the system around it.
        own_network: it is on a network of its own, alone and without a cable.
    """
    rights = ["--map-root-user"] if os.geteuid() != 0 else []
    chosen = [*(["--mount-proc"] if own_proc else []), *(["--net"] if own_network else [])]
    own = ["--pid", "--fork", "--kill-child", "--uts", *chosen]
    words = ["unshare", *rights, *own, sys.executable, "-c", AS_HOST, host]
    try:
        subprocess.run([*words, sys.executable, "-c", ""], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no containers here: {getattr(error, 'stderr', error)}")
    return words
