"""Which study a new one is to begin with, until its networks are known and it does."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Adds the column."""
    with op.batch_alter_table("mapsearch_studies") as studies:
        studies.add_column(sa.Column("port_of", sa.Text))


def downgrade() -> None:
    """Drops it again."""
    with op.batch_alter_table("mapsearch_studies") as studies:
        studies.drop_column("port_of")
