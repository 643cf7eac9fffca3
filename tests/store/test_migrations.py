"""The migrations lead to the tables of schema.py, beside Optuna's own and in either order."""

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from optuna.storages import RDBStorage
from sqlalchemy import create_engine, inspect

from mapsearch.store.migrations import configuration
from mapsearch.store.schema import HEAD, METADATA, VERSION_TABLE
from mapsearch.store.store import Store


def open_optuna(url: str) -> None:
    storage = RDBStorage(url)
    storage.remove_session()
    storage.engine.dispose()


def check_drift(url: str) -> set[str]:
    """Names of all tables; raises if autogenerate would change ours."""
    engine = create_engine(url)
    with engine.begin() as connection:
        command.check(configuration(connection))
        names = set(inspect(connection).get_table_names())
    engine.dispose()
    return names


def test_the_migrated_database_is_the_schema(url: str) -> None:
    Store.open(url).close()
    assert check_drift(url) == {*METADATA.tables, VERSION_TABLE}


@pytest.mark.parametrize("optuna_first", [True, False])
def test_optunas_tables_stand_beside_ours(url: str, optuna_first: bool) -> None:
    if optuna_first:
        open_optuna(url)
    Store.open(url).close()
    open_optuna(url)
    assert check_drift(url) >= {*METADATA.tables, "alembic_version", "trials"}
    with Store.open(url) as store:
        assert store.studies() == []


def test_a_migration_can_be_undone(url: str) -> None:
    open_optuna(url)
    Store.open(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        command.downgrade(configuration(connection), "base")
        assert not set(inspect(connection).get_table_names()) & set(METADATA.tables)
    engine.dispose()
    Store.open(url).close()
    check_drift(url)


def test_head_is_the_newest_migration(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        assert ScriptDirectory.from_config(configuration(connection)).get_current_head() == HEAD
    engine.dispose()
