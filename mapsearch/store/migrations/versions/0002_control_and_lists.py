"""Leases that count, a request to stop, what ran each attempt, and columns for what lists show."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

LEASE = ("lease_epoch", "lease_boot_id", "lease_pid_namespace", "lease_process_started")


def upgrade() -> None:
    """Adds the columns, and fills those of lists from the JSON they repeat.

    A lease of the old form says nothing of boot and namespace, and is taken over once it has expired.
    """
    with op.batch_alter_table("mapsearch_studies") as studies:
        studies.add_column(sa.Column("sentence", sa.Text))
        studies.add_column(sa.Column("n_expected", sa.Integer))
        studies.add_column(sa.Column("stop_requested", sa.Boolean, nullable=False, server_default=sa.false()))
        studies.add_column(sa.Column("lease_epoch", sa.BigInteger, nullable=False, server_default="0"))
        studies.add_column(sa.Column("lease_boot_id", sa.Text))
        studies.add_column(sa.Column("lease_pid_namespace", sa.Text))
        studies.add_column(sa.Column("lease_process_started", sa.BigInteger))
    with op.batch_alter_table("mapsearch_runs") as runs:
        runs.add_column(sa.Column("seconds", sa.Double))
        runs.add_column(sa.Column("error", sa.Text, nullable=False, server_default=""))
        runs.add_column(sa.Column("notes", sa.JSON))
        runs.add_column(sa.Column("mixed_weights", sa.JSON))
    with op.batch_alter_table("mapsearch_attempts") as attempts:
        attempts.add_column(sa.Column("execution", sa.JSON))
    _fill_studies()
    _fill_runs()


def downgrade() -> None:
    """Drops them again."""
    with op.batch_alter_table("mapsearch_attempts") as attempts:
        attempts.drop_column("execution")
    with op.batch_alter_table("mapsearch_runs") as runs:
        for name in ("seconds", "error", "notes", "mixed_weights"):
            runs.drop_column(name)
    with op.batch_alter_table("mapsearch_studies") as studies:
        for name in ("sentence", "n_expected", "stop_requested", *LEASE):
            studies.drop_column(name)


def _fill_studies() -> None:
    studies = sa.table("mapsearch_studies", sa.column("facts", sa.JSON), sa.column("sentence", sa.Text))
    op.execute(studies.update().values(sentence=studies.c.facts[("verdict", "sentence")].as_string()))


def _fill_runs() -> None:
    names = {"result": sa.JSON, "seconds": sa.Double, "error": sa.Text, "notes": sa.JSON, "mixed_weights": sa.JSON}
    runs = sa.table("mapsearch_runs", *(sa.column(name, kind) for name, kind in names.items()))
    result = runs.c.result
    op.execute(
        runs.update()
        .where(result.is_not(None))
        .values(
            seconds=result["seconds"].as_float(),
            error=sa.func.coalesce(result["error"].as_string(), ""),
            notes=result["notes"],
            mixed_weights=result["mixed_weights"],
        )
    )
