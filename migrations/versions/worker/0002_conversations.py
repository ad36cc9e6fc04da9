"""Stored conversations and their messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS
from chatctl.stores.sql.types import auto_integer, json_text

title = "Stored conversations and their messages"
phase = "expand"

revision = "worker_0002"
down_revision = "worker_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("session_id", sa.String(255), primary_key=True),
        sa.Column("account_id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_accessed_at", sa.BigInteger, nullable=False),
        sa.Column("metadata", json_text(), nullable=True),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_conversations_last_accessed_at", "conversations", ["last_accessed_at"])
    op.create_index("idx_conversations_account_id", "conversations", ["account_id"])
    op.create_table(
        "messages",
        sa.Column("id", auto_integer(big=True), primary_key=True),
        sa.Column("session_id", sa.String(255), nullable=False),
        sa.Column("timestamp", sa.BigInteger, nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("content", json_text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["conversations.session_id"], name="messages_session_id_fkey", ondelete="CASCADE"
        ),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_messages_session_timestamp", "messages", ["session_id", "timestamp"])


def downgrade() -> None:
    op.drop_table("messages")
    op.drop_table("conversations")
