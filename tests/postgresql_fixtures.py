"""A private PostgreSQL server where the machine has one, an empty database for each test, and how it goes away."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a private server, reached by a Unix socket in its own folder only."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = _programs()
    user = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    # pytest's own folders can be read by their owner only, and are too long for a socket's path.
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if user:
        shutil.chown(folder, user)
    data = str(folder / "data")

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", data, *arguments]
        subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

    run("initdb", "--username=mapsearch", "--auth=trust", "--no-sync")
    run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -h '' -c fsync=off", "start")
    try:
        yield f"postgresql+psycopg://mapsearch@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-m", "immediate", "stop")
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
