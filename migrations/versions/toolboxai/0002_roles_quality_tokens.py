"""Roles, quality scores and token tracking."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

from chatctl.stores.sql.ddl import create_index_gently, drop_index_gently
from chatctl.stores.sql.types import utc_datetime

title = "Roles, quality scores and token tracking"
phase = "expand"

revision = "toolboxai_0002"
down_revision = "toolboxai_0001"
branch_labels = None
depends_on = None

_COLUMNS: dict[str, dict[str, TypeEngine[Any]]] = {
    "users": {
        "role": sa.String(32),
        "role_granted_by": sa.String(64),
        "role_granted_at": utc_datetime(6),
    },
    "educational_content": {"quality_score": sa.Double()},
    "sessions": {
        "token_id": sa.String(64),
        "refresh_family": sa.String(64),
        "token_issued_at": utc_datetime(6),
        "token_expires_at": utc_datetime(6),
        "token_revoked_at": utc_datetime(6),
    },
}
_INDEXES = {
    "idx_educational_content_quality_score": ("educational_content", ["quality_score"]),
    "idx_sessions_token_id": ("sessions", ["token_id"]),
    "idx_sessions_refresh_family": ("sessions", ["refresh_family"]),
}


def upgrade() -> None:
    for table, columns in _COLUMNS.items():
        for name, type_ in columns.items():
            op.add_column(table, sa.Column(name, type_, nullable=True))
    for name, (table, indexed) in _INDEXES.items():
        create_index_gently(name, table, indexed)


def downgrade() -> None:
    for name, (table, _) in reversed(_INDEXES.items()):
        drop_index_gently(name, table)
    for table, columns in reversed(_COLUMNS.items()):
        for name in reversed(columns):
            op.drop_column(table, name)
