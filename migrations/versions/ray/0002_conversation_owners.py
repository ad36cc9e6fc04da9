"""Project, chat and user of a conversation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import create_index_gently, drop_index_gently

title = "Project, chat and user of a conversation"
phase = "expand"

revision = "ray_0002"
down_revision = "ray_0001"
branch_labels = None
depends_on = None

_COLUMNS = ("project_id", "chat_id", "user_id")
_INDEXES = {
    "idx_conversations_project_id": ["project_id"],
    "idx_conversations_chat_id": ["chat_id"],
    "idx_conversations_user_id": ["user_id"],
    "idx_conversations_project_chat": ["project_id", "chat_id"],
    "idx_conversations_user_project": ["user_id", "project_id"],
}


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("conversations", sa.Column(name, sa.String(255), nullable=True))
    for name, columns in _INDEXES.items():
        create_index_gently(name, "conversations", columns)


def downgrade() -> None:
    for name in reversed(_INDEXES):
        drop_index_gently(name, "conversations")
    for name in reversed(_COLUMNS):
        op.drop_column("conversations", name)
