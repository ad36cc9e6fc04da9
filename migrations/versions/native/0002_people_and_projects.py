"""Users, mentors, projects and who may enter them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS, UtcNow
from chatctl.stores.sql.types import json_text, utc_datetime

title = "Users, mentors, projects and who may enter them"
phase = "expand"

revision = "native_0002"
down_revision = "native_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("username", sa.String(255), nullable=True),
        sa.Column("email", sa.String(255), nullable=True),
        sa.Column("role", sa.String(32), nullable=True),
        sa.Column("role_granted_by", sa.String(255), nullable=True),
        sa.Column("role_granted_at", utc_datetime(6), nullable=True),
        sa.Column("preferences", json_text(), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.Column("accessed_at", utc_datetime(6), nullable=True),
        **TEXT_OPTIONS,
    )
    op.create_table(
        "mentors",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(255), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        **TEXT_OPTIONS,
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.String(255), primary_key=True),
        sa.Column("name", sa.String(255), nullable=True),
        sa.Column("settings", json_text(), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.Column("accessed_at", utc_datetime(6), nullable=True),
        **TEXT_OPTIONS,
    )
    op.create_table(
        "project_permissions",
        sa.Column("project_id", sa.String(255), primary_key=True),
        sa.Column("user_id", sa.String(255), primary_key=True),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_project_permissions_user", "project_permissions", ["user_id"])


def downgrade() -> None:
    op.drop_table("project_permissions")
    op.drop_table("projects")
    op.drop_table("mentors")
    op.drop_table("users")
