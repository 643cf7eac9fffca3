"""The first tables. A migration that was released is never edited."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Creates studies, trials, runs, attempts and events."""
    op.create_table(
        "mapsearch_studies",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("spec", sa.JSON, nullable=False),
        sa.Column("study_file", sa.Text, nullable=False),
        sa.Column("folder", sa.Text, nullable=False),
        sa.Column("facts", sa.JSON, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_host", sa.Text),
        sa.Column("lease_pid", sa.Integer),
        sa.Column("lease_until", sa.Double),
        sa.Column("created_at", sa.Text, nullable=False),
        sa.Column("updated_at", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mapsearch_studies"),
        sa.UniqueConstraint("name", name="uq_mapsearch_studies_name"),
    )
    _create_child(
        "trials",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("proposer", sa.Text, nullable=False),
        sa.Column("control", sa.Text, nullable=False),
        sa.Column("recipe", sa.JSON, nullable=False),
        sa.Column("params", sa.JSON, nullable=False),
        sa.Column("sampler_number", sa.Integer),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("told", sa.Boolean, nullable=False),
        key=("study_id", "number"),
        index=("study_id", "told"),
    )
    _create_child(
        "runs",
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("rung", sa.Integer, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("split", sa.Text, nullable=False),
        sa.Column("n_steps", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("result", sa.JSON),
        key=("study_id", "trial", "rung", "seed"),
        index=("study_id", "state"),
    )
    _create_child(
        "attempts",
        sa.Column("trial", sa.Integer, nullable=False),
        sa.Column("rung", sa.Integer, nullable=False),
        sa.Column("seed", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("started_at", sa.Text, nullable=False),
        sa.Column("finished_at", sa.Text),
        sa.Column("error", sa.Text, nullable=False),
        key=("study_id", "trial", "rung", "seed", "attempt"),
        index=("study_id", "state"),
    )
    _create_child(
        "events",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        key=("id",),
        index=("study_id", "id"),
    )


def downgrade() -> None:
    """Drops every table of ours, with all studies."""
    for name in ("events", "attempts", "runs", "trials", "studies"):
        op.drop_table(f"mapsearch_{name}")


def _create_child(name: str, *columns: sa.Column[Any], key: tuple[str, ...], index: tuple[str, ...]) -> None:
    table = f"mapsearch_{name}"
    op.create_table(
        table,
        sa.Column("study_id", sa.Text, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint(*key, name=f"pk_{table}"),
        sa.ForeignKeyConstraint(
            ["study_id"], ["mapsearch_studies.id"], ondelete="CASCADE", name=f"fk_{table}_study_id"
        ),
    )
    op.create_index(f"ix_{table}_{'_'.join(index)}", table, list(index))
