"""Chat sessions, projects and users."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS, UtcNow
from chatctl.stores.sql.types import json_text, utc_datetime

title = "Chat sessions, projects and users"
phase = "expand"

revision = "ray_0003"
down_revision = "ray_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chat_sessions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project_id", sa.String(255), nullable=False),
        sa.Column("chat_id", sa.String(255), nullable=False),
        sa.Column("created_at", utc_datetime(6), nullable=True, server_default=UtcNow(6)),
        sa.Column("last_active", utc_datetime(6), nullable=True, server_default=UtcNow(6)),
        sa.Column("context_data", json_text(), nullable=True),
        sa.UniqueConstraint("project_id", "chat_id", name="chat_sessions_project_id_chat_id_key"),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_chat_sessions_last_active", "chat_sessions", ["last_active"])
    op.create_table(
        "projects",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("project_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=True),
        sa.Column("settings", json_text(), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=True, server_default=UtcNow(6)),
        sa.UniqueConstraint("project_id", name="projects_project_id_key"),
        **TEXT_OPTIONS,
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("preferences", json_text(), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=True, server_default=UtcNow(6)),
        sa.Column("last_active", utc_datetime(6), nullable=True, server_default=UtcNow(6)),
        sa.UniqueConstraint("user_id", name="users_user_id_key"),
        **TEXT_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("users")
    op.drop_table("projects")
    op.drop_table("chat_sessions")
