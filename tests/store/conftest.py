"""An empty database for each test: a SQLite file, and PostgreSQL where the machine has it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, make_url, text, update

from mapsearch.store.handle import StudyHandle
from mapsearch.store.schema import studies
from mapsearch.store.store import Store


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str:
    fixture = "sqlite_url" if request.param == "sqlite" else "postgresql_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as store:
        store.create_study("digits", {"name": "digits", "seed": 0}, folder="/home/studies", study_file="name: digits\n")
        yield store


@pytest.fixture
def study(store: Store) -> Iterator[StudyHandle]:
    with store.control("digits") as study:
        yield study


@pytest.fixture
def rewrite(store: Store) -> Callable[..., None]:
    """`rewrite(column=value)` changes the row of the study `digits`, as another process would have written it."""

    def change(**values: Any) -> None:
        engine = create_engine(store.url)
        with engine.begin() as connection:
            connection.execute(update(studies).where(studies.c.name == "digits").values(**values))
        engine.dispose()

    return change


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
