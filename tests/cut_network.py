"""A command alone on a network whose only cable leads to a PostgreSQL server, and is cut while a file exists.

unshare --net python cut_network.py SOCKET FILE COMMAND...
"""

import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Thread

NEAR, FAR = "10.0.0.1/30", "10.0.0.2/30"
SERVER = ("10.0.0.2", 5432)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def lay(far: subprocess.Popen[str]) -> None:
    """Lay the cable from here to a process, in a network of its own, that takes up its end."""
    assert far.stdin is not None
    assert far.stdout is not None
    assert far.stdout.readline() == "there\n"
    ip("link", "set", "lo", "up")
    ip("link", "add", "near", "type", "veth", "peer", "name", "far", "netns", str(far.pid))
    ip("address", "add", NEAR, "dev", "near")
    ip("link", "set", "near", "up")
    print("laid", file=far.stdin, flush=True)


def take_up(cut: Path) -> None:
    """Take up the other end of the cable, and cut it for as long as the file exists."""
    print("there", flush=True)
    sys.stdin.readline()
    ip("link", "set", "lo", "up")
    ip("address", "add", FAR, "dev", "far")
    ip("link", "set", "far", "up")
    Thread(target=watch, args=(cut,), daemon=True).start()


def near(command: list[str]) -> int:
    """Run the command at this end of the cable."""
    other_end = ["unshare", "--net", sys.executable, __file__, *sys.argv[1:3]]
    with subprocess.Popen(other_end, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as far:
        try:
            lay(far)
            assert far.stdout is not None
            assert far.stdout.readline() == "listens\n"
            return subprocess.run(command).returncode
        finally:
            far.kill()


def far(path: str, cut: Path) -> None:
    """Pass on all that comes through the cable to the server's own socket."""
    take_up(cut)
    with socket.create_server(SERVER) as server:
        print("listens", flush=True)
        while True:
            client, _ = server.accept()
            backend = socket.socket(socket.AF_UNIX)
            backend.connect(path)
            for ends in ((client, backend), (backend, client)):
                Thread(target=pass_on, args=ends, daemon=True).start()


def watch(cut: Path) -> None:
    was_cut = False
    while True:
        if cut.exists() != was_cut:
            was_cut = not was_cut
            ip("link", "set", "far", "down" if was_cut else "up")
        time.sleep(0.01)


def pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


if __name__ == "__main__":
    if command := sys.argv[3:]:
        sys.exit(near(command))
    far(sys.argv[1], Path(sys.argv[2]))
