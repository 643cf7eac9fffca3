"""Brings the tables of a database to the form of `schema.py`, with Alembic; loaded only when they differ."""

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

from mapsearch.core.errors import StoreError
from mapsearch.store.connect import shown


def upgrade(connection: Connection) -> None:
    """Runs the missing migrations inside the connection's transaction.

    Raises:
        StoreError: the database was written by a newer version of mapsearch.
    """
    try:
        command.upgrade(configuration(connection), "head")
    except CommandError as error:
        raise StoreError(
            f"{shown(connection.engine.url)}: the study database was written by a newer version of mapsearch "
            f"({error}); `pip install -U mapsearch`"
        ) from None


def configuration(connection: Connection) -> Config:
    """Alembic's settings for our migrations on that connection."""
    config = Config()
    config.set_main_option("script_location", "mapsearch.store:migrations")
    config.attributes["connection"] = connection
    return config
