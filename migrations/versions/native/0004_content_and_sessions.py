"""Educational content and login sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS, UtcNow
from chatctl.stores.sql.types import long_text, utc_datetime

title = "Educational content and login sessions"
phase = "expand"

revision = "native_0004"
down_revision = "native_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "educational_content",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("title", sa.String(255), nullable=True),
        sa.Column("subject", sa.String(255), nullable=True),
        sa.Column("grade_level", sa.Integer, nullable=True),
        sa.Column("body", long_text(), nullable=True),
        sa.Column("quality_score", sa.Double, nullable=True),
        sa.Column("user_id", sa.String(255), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name="educational_content_user_id_fkey", ondelete="SET NULL"
        ),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_educational_content_user", "educational_content", ["user_id"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("token_id", sa.String(64), nullable=False),
        sa.Column("refresh_family", sa.String(64), nullable=False),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.Column("token_issued_at", utc_datetime(6), nullable=False),
        sa.Column("token_expires_at", utc_datetime(6), nullable=False),
        sa.Column("token_revoked_at", utc_datetime(6), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="sessions_user_id_fkey", ondelete="CASCADE"),
        sa.UniqueConstraint("token_id", name="sessions_token_id_key"),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_sessions_refresh_family", "sessions", ["refresh_family"])
    op.create_index("idx_sessions_user", "sessions", ["user_id"])


def downgrade() -> None:
    op.drop_table("sessions")
    op.drop_table("educational_content")
