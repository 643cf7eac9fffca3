"""A request to start, with how many fresh seeds, and what people note about a study."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Adds the columns."""
    with op.batch_alter_table("mapsearch_studies") as studies:
        studies.add_column(sa.Column("start_requested", sa.Boolean, nullable=False, server_default=sa.false()))
        studies.add_column(sa.Column("seeds_requested", sa.Integer))
        studies.add_column(sa.Column("note", sa.Text, nullable=False, server_default=""))


def downgrade() -> None:
    """Drops them again."""
    with op.batch_alter_table("mapsearch_studies") as studies:
        for name in ("start_requested", "seeds_requested", "note"):
            studies.drop_column(name)
