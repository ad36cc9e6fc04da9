"""The legacy state: the three tables of 1.x."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS, UtcNow
from chatctl.stores.sql.types import long_text, utc_datetime

title = "Users, content and sessions of 1.x"
phase = "legacy"

revision = "toolboxai_0001"
down_revision = None
branch_labels = ("toolboxai",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("username", sa.String(255), nullable=True),
        sa.Column("email", sa.String(255), nullable=True),
        sa.Column("password_hash", sa.String(255), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        **TEXT_OPTIONS,
    )
    op.create_table(
        "educational_content",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("title", sa.String(255), nullable=True),
        sa.Column("subject", sa.String(255), nullable=True),
        sa.Column("grade_level", sa.Integer, nullable=True),
        sa.Column("content", long_text(), nullable=True),
        sa.Column("created_by", sa.String(64), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        **TEXT_OPTIONS,
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        **TEXT_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("sessions")
    op.drop_table("educational_content")
    op.drop_table("users")
