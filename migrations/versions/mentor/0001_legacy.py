"""The legacy state: messages that name their user and mentor, and no chats."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS, UtcNow
from chatctl.stores.sql.types import json_text, long_text, utc_datetime

title = "Flat messages"
phase = "legacy"

revision = "mentor_0001"
down_revision = None
branch_labels = ("mentor",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("email", sa.String(255), nullable=True),
        sa.Column("name", sa.String(255), nullable=True),
        **TEXT_OPTIONS,
    )
    op.create_table(
        "mentors",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(255), nullable=True),
        **TEXT_OPTIONS,
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("userId", sa.String(64), nullable=False),
        sa.Column("mentorId", sa.String(64), nullable=True),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("content", long_text(), nullable=False),
        sa.Column("prompt", long_text(), nullable=True),
        sa.Column("model", sa.String(255), nullable=True),
        sa.Column("tokens", sa.Integer, nullable=True),
        sa.Column("metadata", json_text(), nullable=True),
        sa.Column("createdAt", utc_datetime(3), nullable=False, server_default=UtcNow(3)),
        sa.Column("taskId", sa.String(64), nullable=True),
        **TEXT_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("messages")
    op.drop_table("mentors")
    op.drop_table("users")
