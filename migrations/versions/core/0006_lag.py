"""How far behind the replica was while a run went on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

title = "A replica's lag during runs"
phase = "legacy"

revision = "core_0006"
down_revision = "core_0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chatctl_lags",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("measured_ms", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("lag_ms", sa.BigInteger, nullable=False),
        schema=context.config.attributes.get("journal_schema"),
        if_not_exists=True,
    )


def downgrade() -> None:
    op.drop_table("chatctl_lags", schema=context.config.attributes.get("journal_schema"))
