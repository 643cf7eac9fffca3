"""Run by Alembic for each command: our migrations on the given connection, blind to Optuna's tables."""

from typing import Any

from alembic import context

from mapsearch.store.schema import METADATA, PREFIX, VERSION_TABLE


def _is_ours(_: Any, name: str | None, kind: str, *__: Any) -> bool:
    return kind != "table" or (name or "").startswith(PREFIX)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # Optuna's own `alembic_version` stands in the same database.
    version_table=VERSION_TABLE,
    include_object=_is_ours,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
