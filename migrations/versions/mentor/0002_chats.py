"""Chats of a user, with a mentor or without."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS, UtcNow, own_key, type_of
from chatctl.stores.sql.types import json_text, utc_datetime

title = "Chats of a user, with a mentor or without"
phase = "expand"

revision = "mentor_0002"
down_revision = "mentor_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chats",
        sa.Column("id", own_key(64), primary_key=True),
        sa.Column("userId", type_of("users", "id", sa.String(64)), nullable=False),
        sa.Column("mentorId", type_of("mentors", "id", sa.String(64)), nullable=True),
        sa.Column("title", sa.String(255), nullable=True),
        sa.Column("isActive", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("createdAt", utc_datetime(3), nullable=False, server_default=UtcNow(3)),
        sa.Column("updatedAt", utc_datetime(3), nullable=False),
        sa.Column("metadata", json_text(), nullable=True),
        sa.ForeignKeyConstraint(["userId"], ["users.id"], name="chats_userId_fkey", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["mentorId"], ["mentors.id"], name="chats_mentorId_fkey", ondelete="SET NULL"),
        **TEXT_OPTIONS,
    )
    op.create_index("chats_userId_updatedAt_idx", "chats", ["userId", "updatedAt"])
    op.create_index("chats_mentorId_idx", "chats", ["mentorId"])
    op.create_index("chats_updatedAt_idx", "chats", ["updatedAt"])


def downgrade() -> None:
    op.drop_table("chats")
