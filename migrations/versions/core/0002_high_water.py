"""How far each session counter has counted, outside Redis."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

title = "The high-water marks of session counters"
phase = "legacy"

revision = "core_0002"
down_revision = "core_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chatctl_high_water",
        sa.Column("counter", sa.String(128), primary_key=True),
        sa.Column("issued", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.String(64), nullable=False),
        sa.Column("turns", sa.BigInteger, nullable=False),
        sa.Column("taken_ms", sa.BigInteger, nullable=False),
        schema=context.config.attributes.get("journal_schema"),
        if_not_exists=True,
    )


def downgrade() -> None:
    op.drop_table("chatctl_high_water", schema=context.config.attributes.get("journal_schema"))
