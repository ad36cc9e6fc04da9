"""Who may use the embedded API, and which chat a user and a mentor have together."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

title = "Accounts of the API, and the chats of mentors"
phase = "legacy"

revision = "core_0005"
down_revision = "core_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema = context.config.attributes.get("journal_schema")
    op.create_table(
        "chatctl_accounts",
        sa.Column("user_id", sa.String(255), primary_key=True),
        sa.Column("username", sa.String(255), nullable=False, unique=True),
        sa.Column("email", sa.String(255), nullable=True, unique=True),
        sa.Column("password_hash", sa.String(255), nullable=False),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("changed_ms", sa.BigInteger, nullable=False),
        schema=schema,
        if_not_exists=True,
    )
    op.create_table(
        "chatctl_mentor_chats",
        sa.Column("pair_sha256", sa.String(64), primary_key=True),
        sa.Column("chat_id", sa.String(255), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        schema=schema,
        if_not_exists=True,
    )


def downgrade() -> None:
    schema = context.config.attributes.get("journal_schema")
    op.drop_table("chatctl_mentor_chats", schema=schema)
    op.drop_table("chatctl_accounts", schema=schema)
