"""Chats and their messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS, UtcNow
from chatctl.stores.sql.types import json_text, long_text, utc_datetime

title = "Chats and their messages"
phase = "expand"

revision = "native_0003"
down_revision = "native_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chats",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("account_id", sa.String(255), nullable=False, server_default="default"),
        sa.Column("user_id", sa.String(255), nullable=True),
        sa.Column("mentor_id", sa.String(255), nullable=True),
        sa.Column("project_id", sa.String(255), nullable=True),
        sa.Column("chat_type", sa.String(16), nullable=False, server_default="general"),
        sa.Column("title", sa.String(255), nullable=True),
        sa.Column("page_name", sa.String(255), nullable=True),
        sa.Column("status", sa.String(32), nullable=True),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("is_pinned", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("context", json_text(), nullable=True),
        sa.Column("metadata", json_text(), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.Column("updated_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.Column("accessed_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="chats_user_id_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["mentor_id"], ["mentors.id"], name="chats_mentor_id_fkey", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="chats_project_id_fkey", ondelete="SET NULL"),
        sa.CheckConstraint("chat_type IN ('general', 'project')", name="chats_chat_type_check"),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_chats_accessed_at", "chats", ["accessed_at"])
    op.create_index("idx_chats_account_accessed", "chats", ["account_id", "accessed_at"])
    op.create_index("idx_chats_user_updated", "chats", ["user_id", "updated_at"])
    op.create_index("idx_chats_mentor", "chats", ["mentor_id"])
    op.create_index("idx_chats_project", "chats", ["project_id"])
    op.create_table(
        "messages",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("chat_id", sa.String(255), nullable=True),
        sa.Column("user_id", sa.String(255), nullable=True),
        sa.Column("mentor_id", sa.String(255), nullable=True),
        sa.Column("project_id", sa.String(255), nullable=True),
        sa.Column("role", sa.String(32), nullable=False, server_default="user"),
        sa.Column("content", long_text(), nullable=False),
        sa.Column("response", long_text(), nullable=True),
        sa.Column("prompt", long_text(), nullable=True),
        sa.Column("model", sa.String(255), nullable=True),
        sa.Column("tokens", sa.Integer, nullable=True),
        sa.Column("command_results", json_text(), nullable=True),
        sa.Column("metadata", json_text(), nullable=True),
        sa.Column("task_id", sa.String(64), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.ForeignKeyConstraint(["chat_id"], ["chats.id"], name="messages_chat_id_fkey", ondelete="CASCADE"),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_messages_chat_created", "messages", ["chat_id", "created_at"])


def downgrade() -> None:
    op.drop_table("messages")
    op.drop_table("chats")
