"""Archived sessions and their history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS
from chatctl.stores.sql.types import json_text, long_text, utc_datetime

title = "Archived sessions and their history"
phase = "expand"

revision = "simorgh_0002"
down_revision = "simorgh_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "archived_sessions",
        sa.Column("chat_id", sa.String(255), primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("chat_name", sa.String(255), nullable=True),
        sa.Column("chat_type", sa.String(16), nullable=False),
        sa.Column("project_number", sa.String(255), nullable=True),
        sa.Column("project_name", sa.String(255), nullable=True),
        sa.Column("page_name", sa.String(255), nullable=True),
        sa.Column("status", sa.String(32), nullable=True),
        sa.Column("metadata", json_text(), nullable=False),
        sa.Column("created_at", utc_datetime(6), nullable=False),
        sa.Column("last_active", utc_datetime(6), nullable=False),
        sa.Column("archived_at", utc_datetime(6), nullable=False),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_archived_sessions_user_id", "archived_sessions", ["user_id", "last_active"])
    op.create_index("idx_archived_sessions_project", "archived_sessions", ["project_number"])
    op.create_index("idx_archived_sessions_last_active", "archived_sessions", ["last_active"])
    op.create_table(
        "archived_messages",
        sa.Column("chat_id", sa.String(255), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("message_id", sa.String(255), nullable=True),
        sa.Column("user_id", sa.String(255), nullable=True),
        sa.Column("role", sa.String(32), nullable=True),
        sa.Column("content", long_text(), nullable=True),
        sa.Column("record", json_text(), nullable=False),
        sa.Column("created_at", utc_datetime(6), nullable=True),
        sa.ForeignKeyConstraint(
            ["chat_id"], ["archived_sessions.chat_id"], name="archived_messages_chat_id_fkey", ondelete="CASCADE"
        ),
        **TEXT_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("archived_messages")
    op.drop_table("archived_sessions")
