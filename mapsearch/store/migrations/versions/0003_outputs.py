"""What was called after logits is called after outputs: two fields of a recipe, and two controls."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

FIELDS = {"logit_loss": "output_loss", "logit_weight": "output_weight"}
CONTROLS = {"logits": "outputs", "logits_strong": "outputs_strong"}

STUDIES = sa.table("mapsearch_studies", sa.column("id", sa.Text), sa.column("facts", sa.JSON))
TRIALS = sa.table(
    "mapsearch_trials",
    sa.column("study_id", sa.Text),
    sa.column("number", sa.Integer),
    sa.column("control", sa.Text),
    sa.column("recipe", sa.JSON),
)


def upgrade() -> None:
    """Renames them in recipes, trials and verdicts."""
    _rename(FIELDS, CONTROLS)


def downgrade() -> None:
    """Names them as before."""
    _rename({new: old for old, new in FIELDS.items()}, {new: old for old, new in CONTROLS.items()})


def _rename(fields: Mapping[str, str], controls: Mapping[str, str]) -> None:
    connection = op.get_bind()
    for row in connection.execute(sa.select(TRIALS)).all():
        recipe = {fields.get(key, key): value for key, value in row.recipe.items()}
        this = (TRIALS.c.study_id == row.study_id) & (TRIALS.c.number == row.number)
        control = controls.get(row.control, row.control)
        connection.execute(TRIALS.update().where(this).values(recipe=recipe, control=control))
    for row in connection.execute(sa.select(STUDIES)).all():
        if row.facts.get("verdict"):
            facts = _with_controls(row.facts, controls)
            connection.execute(STUDIES.update().where(STUDIES.c.id == row.id).values(facts=facts))


def _with_controls(facts: Mapping[str, Any], controls: Mapping[str, str]) -> dict[str, Any]:
    verdict = facts["verdict"]
    against = [{**row, "control": controls.get(row["control"], row["control"])} for row in verdict["against"]]
    return {**facts, "verdict": {**verdict, "against": against}}
