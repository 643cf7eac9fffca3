"""An index with all that is summed up of runs: their rows hold whole results, and are long."""

from alembic import op

revision = "0004"
down_revision = "0003"

INDEX = "ix_mapsearch_runs_summed_up"


def upgrade() -> None:
    """Creates it."""
    columns = ["study_id", "trial", "rung", "seed", "state", "stage", "n_steps", "value", "seconds"]
    op.create_index(INDEX, "mapsearch_runs", columns)


def downgrade() -> None:
    """Drops it."""
    op.drop_index(INDEX, "mapsearch_runs")
