"""What purge keeps beside the journal: holds, what was restored, and where the archives are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from chatctl.stores.sql.types import long_text

title = "Holds, restored conversations and archives"
phase = "legacy"

revision = "core_0003"
down_revision = "core_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    schema = context.config.attributes.get("journal_schema")
    op.create_table(
        "chatctl_holds",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", long_text(), nullable=False),
        sa.Column("reason", long_text(), nullable=False),
        sa.Column("author", sa.String(255), nullable=False),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("expires_ms", sa.BigInteger, nullable=True),
        sa.Column("released_ms", sa.BigInteger, nullable=True),
        sa.Column("released_by", sa.String(255), nullable=True),
        schema=schema,
        if_not_exists=True,
    )
    op.create_table(
        "chatctl_exemptions",
        sa.Column("chat_sha256", sa.String(64), primary_key=True),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("until_ms", sa.BigInteger, nullable=False),
        schema=schema,
        if_not_exists=True,
    )
    op.create_table(
        "chatctl_archives",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("place", sa.String(16), nullable=False),
        sa.Column("file", long_text(), nullable=True),
        sa.Column("chats", sa.BigInteger, nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("made_ms", sa.BigInteger, nullable=False),
        schema=schema,
        if_not_exists=True,
    )
    op.create_table(
        "chatctl_archived_lines",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("content", long_text(), nullable=False),
        schema=schema,
        if_not_exists=True,
    )


def downgrade() -> None:
    schema = context.config.attributes.get("journal_schema")
    for name in ("archived_lines", "archives", "exemptions", "holds"):
        op.drop_table(f"chatctl_{name}", schema=schema)
