"""A worker process: `python -P -m mapsearch.executors.worker FD PARENT`, with one end of a pipe to its controller.

It leaves when the pipe closes, and is ended with its controller even while the task's code does not return.
"""

import os
import signal
import sys
from io import TextIOWrapper
from multiprocessing.connection import Connection
from typing import cast

from mapsearch.core.errors import MapsearchError
from mapsearch.executors.base import LoadFailed, Ready
from mapsearch.executors.session import Session, open_session
from mapsearch.executors.watchdog import end_with
from mapsearch.tasks.user_code import describe


def main(connection: Connection) -> None:
    """Train what comes through the pipe until it closes."""
    session = _open(connection)
    if session is None:
        return
    try:
        connection.send(Ready())
        while True:
            for message in session.train(connection.recv()):
                connection.send(message)
    except (EOFError, ConnectionError):
        return  # the controller is gone


def _open(connection: Connection) -> Session | None:
    setup = connection.recv()
    try:
        return open_session(setup)
    except MapsearchError as failure:
        connection.send(LoadFailed(str(failure)))
    except (Exception, SystemExit) as failure:
        connection.send(LoadFailed(describe(failure)))
    return None


if __name__ == "__main__":
    end_with(int(sys.argv[2]))
    for number in (signal.SIGINT, signal.SIGUSR1):  # they reach the whole group; the controller decides
        signal.signal(number, signal.SIG_IGN)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a task prints is progress, not a result
    cast(TextIOWrapper, sys.stdout).reconfigure(line_buffering=True)  # and is seen when it is printed
    main(Connection(int(sys.argv[1])))
