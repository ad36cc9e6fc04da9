"""What a half-applied revision has read, and the text of those that were applied."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from chatctl.stores.sql.types import long_text

title = "What revisions have read, and their text"
phase = "legacy"

revision = "core_0004"
down_revision = "core_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema = context.config.attributes.get("journal_schema")
    op.create_table(
        "chatctl_reads",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("revision", sa.String(64), primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("answer", long_text(), nullable=True),
        schema=schema,
        if_not_exists=True,
    )
    op.create_table(
        "chatctl_sources",
        sa.Column("layout", sa.String(64), primary_key=True),
        sa.Column("revision", sa.String(64), primary_key=True),
        sa.Column("source_text", long_text(), nullable=False),
        schema=schema,
        if_not_exists=True,
    )


def downgrade() -> None:
    schema = context.config.attributes.get("journal_schema")
    op.drop_table("chatctl_sources", schema=schema)
    op.drop_table("chatctl_reads", schema=schema)
