"""An empty database for each test: a SQLite file, and PostgreSQL where the machine has it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, update

from mapsearch.store import watching
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


@dataclass
class Meanwhile:
    """The clock of those who watch a lease: it passes at once, and what happens meanwhile, happens at every look."""

    seconds: float = 0.0
    happens: list[Callable[[], object]] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        for act in self.happens:
            act()


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    meanwhile = Meanwhile()
    monkeypatch.setattr(watching, "time", meanwhile)
    return meanwhile
