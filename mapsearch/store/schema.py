"""The tables of the study database, as SQLAlchemy metadata; `migrations/` brings a database to this form.

Optuna keeps its tables in the same database. Nothing here refers to them: without cascade a foreign
key onto them turns Optuna's own delete into a silent no-op, and SQLite re-uses their ids.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    false,
)

PREFIX = "mapsearch_"
VERSION_TABLE = f"{PREFIX}alembic_version"
HEAD = "0006"
"""The newest migration: the form of the database that this version of mapsearch reads and writes."""

METADATA = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _study_id(*, primary_key: bool = True) -> Column[Any]:
    owner = ForeignKey(f"{PREFIX}studies.id", ondelete="CASCADE")
    return Column("study_id", Text, owner, primary_key=primary_key, nullable=False)


studies = Table(
    f"{PREFIX}studies",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("state", Text, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("study_file", Text, nullable=False),
    Column("folder", Text, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("sentence", Text),
    Column("n_expected", Integer),
    Column("stop_requested", Boolean, nullable=False, server_default=false()),
    Column("start_requested", Boolean, nullable=False, server_default=false()),
    Column("seeds_requested", Integer),
    Column("note", Text, nullable=False, server_default=""),
    Column("port_of", Text),
    Column("lease_owner", Text),
    Column("lease_epoch", BigInteger, nullable=False, server_default="0"),
    Column("lease_until", Double),
    Column("lease_host", Text),
    Column("lease_pid", Integer),
    Column("lease_boot_id", Text),
    Column("lease_pid_namespace", Text),
    Column("lease_process_started", BigInteger),
    Column("created_at", Text, nullable=False),
    Column("updated_at", Text, nullable=False),
)

trials = Table(
    f"{PREFIX}trials",
    METADATA,
    _study_id(),
    Column("number", Integer, primary_key=True),
    Column("proposer", Text, nullable=False),
    Column("control", Text, nullable=False),
    Column("recipe", JSON, nullable=False),
    Column("params", JSON, nullable=False),
    Column("sampler_number", Integer),
    Column("state", Text, nullable=False),
    Column("value", Double),
    Column("told", Boolean, nullable=False),
)
Index(None, trials.c.study_id, trials.c.told)

runs = Table(
    f"{PREFIX}runs",
    METADATA,
    _study_id(),
    Column("trial", Integer, primary_key=True),
    Column("rung", Integer, primary_key=True),
    Column("seed", BigInteger, primary_key=True),
    Column("stage", Text, nullable=False),
    Column("split", Text, nullable=False),
    Column("n_steps", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("value", Double),
    Column("seconds", Double),
    Column("error", Text, nullable=False, server_default=""),
    Column("notes", JSON(none_as_null=True)),
    Column("mixed_weights", JSON(none_as_null=True)),
    Column("result", JSON(none_as_null=True)),
)
Index(None, runs.c.study_id, runs.c.state)
_SUMMED_UP = ("study_id", "trial", "rung", "seed", "state", "stage", "n_steps", "value", "seconds")
Index(f"ix_{PREFIX}runs_summed_up", *(runs.c[name] for name in _SUMMED_UP))  # spares `show` the rows with their results

attempts = Table(
    f"{PREFIX}attempts",
    METADATA,
    _study_id(),
    Column("trial", Integer, primary_key=True),
    Column("rung", Integer, primary_key=True),
    Column("seed", BigInteger, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("worker", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
    Column("error", Text, nullable=False),
    Column("execution", JSON(none_as_null=True)),
)
Index(None, attempts.c.study_id, attempts.c.state)

events = Table(
    f"{PREFIX}events",
    METADATA,
    Column("id", Integer, primary_key=True),
    _study_id(primary_key=False),
    Column("at", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("message", Text, nullable=False),
)
Index(None, events.c.study_id, events.c.id)
