"""A worker never outlives its controller, also when it is stuck in the task's code."""

import ctypes
import os
import signal
import sys
import threading
import time

POLL_SECONDS = 1.0
PR_SET_PDEATHSIG = 1  # from <sys/prctl.h>


def end_with(parent: int) -> None:
    """End this process soon after its parent `parent` has ended, however that happened.

    On Linux the kernel sees to it, even while code in C holds the interpreter's lock; a thread does it elsewhere.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch, args=(parent,), name="mapsearch-watchdog", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:  # an orphan is handed to another process
        time.sleep(POLL_SECONDS)
    os._exit(1)
