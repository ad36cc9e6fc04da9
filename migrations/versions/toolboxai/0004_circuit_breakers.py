"""The state of circuit breakers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS, UtcNow
from chatctl.stores.sql.types import utc_datetime

title = "The state of circuit breakers"
phase = "expand"

revision = "toolboxai_0004"
down_revision = "toolboxai_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "circuit_breaker_state",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False, server_default="CLOSED"),
        sa.Column("failure_count", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("last_failure_time", utc_datetime(6), nullable=True),
        sa.Column("next_attempt_time", utc_datetime(6), nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.Column("updated_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.CheckConstraint("state IN ('CLOSED', 'OPEN', 'HALF_OPEN')", name="circuit_breaker_state_state_check"),
        **TEXT_OPTIONS,
    )


def downgrade() -> None:
    op.drop_table("circuit_breaker_state")
