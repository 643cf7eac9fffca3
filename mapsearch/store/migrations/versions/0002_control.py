"""A study's lease counts its epochs and says more of its process; a study can be asked to stop."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the columns; a lease of the old form has no boot id, and is taken over once it has expired."""
    with op.batch_alter_table("mapsearch_studies") as studies:
        studies.add_column(sa.Column("stop_requested", sa.Boolean, nullable=False, server_default=sa.false()))
        studies.add_column(sa.Column("lease_epoch", sa.BigInteger, nullable=False, server_default="0"))
        studies.add_column(sa.Column("lease_boot_id", sa.Text))
        studies.add_column(sa.Column("lease_pid_namespace", sa.Text))
        studies.add_column(sa.Column("lease_process_started", sa.BigInteger))


def downgrade() -> None:
    """Drops them again."""
    with op.batch_alter_table("mapsearch_studies") as studies:
        for name in (
            "stop_requested", "lease_epoch", "lease_boot_id", "lease_pid_namespace", "lease_process_started",
        ):  # fmt: skip
            studies.drop_column(name)
