"""The legacy state: conversations, one row a message and its response, that nobody owns."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS, UtcNow
from chatctl.stores.sql.types import json_text, long_text, utc_datetime

title = "Conversations without owners"
phase = "legacy"

revision = "ray_0001"
down_revision = None
branch_labels = ("ray",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("message", long_text(), nullable=False),
        sa.Column("response", long_text(), nullable=True),
        sa.Column("model", sa.String(255), nullable=True),
        sa.Column("command_results", json_text(), nullable=True),
        sa.Column("timestamp", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        **TEXT_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("conversations")
