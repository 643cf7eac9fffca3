"""A private PostgreSQL server where the machine has one, an empty database for each test, and how it goes away."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text


@pytest.fixture
def postgresql_url(postgresql_server: str) -> str:
    database = f"study_{uuid4().hex}"
    engine = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {database}"))
    engine.dispose()
    return make_url(postgresql_server).set(database=database).render_as_string(hide_password=False)


@dataclass(frozen=True)
class Server:
    """A private server, reached by a Unix socket in its own folder only."""

    folder: Path
    user: str | None

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://mapsearch@/postgres?host={self.folder}"

    def run(self, program: str, *arguments: str) -> None:
        command = [str(_programs() / program), "-D", str(self.folder / "data"), *arguments]
        subprocess.run(command, user=self.user, cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def start(self) -> None:
        options = f"-k {self.folder} -h '' -c fsync=off"
        self.run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-m", "immediate", "stop")


@pytest.fixture(scope="session")
def postgresql_server(postgresql: Server) -> str:
    return postgresql.url


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """The server itself, which a test may stop if it starts it again."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    _programs()
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    # pytest's own folders can be read by their owner only, and are too long for a socket's path.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if user:
        shutil.chown(folder, user)
    server = Server(folder, user)
    server.run("initdb", "--username=mapsearch", "--auth=trust", "--no-sync")
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    in_path = shutil.which("initdb")
    if not found and in_path is None:
        pytest.skip("PostgreSQL is not installed")
    return found[0].parent if found else Path(str(in_path)).parent


@pytest.fixture
def server(postgresql_server: str, postgresql_url: str) -> Iterator[Callable[..., None]]:
    """`server(open=False)` ends all connections to the database and lets no new ones in."""
    engine, name = create_engine(postgresql_server, isolation_level="AUTOCOMMIT"), make_url(postgresql_url).database

    def switch(*, open: bool) -> None:
        with engine.connect() as db:
            db.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {open}"))
            if not open:
                end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
                db.execute(text(end), {"name": name})

    yield switch
    switch(open=True)
    engine.dispose()
