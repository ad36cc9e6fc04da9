"""Agents, their tasks and their metrics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from chatctl.stores.sql.ddl import TEXT_OPTIONS, UtcNow
from chatctl.stores.sql.types import auto_integer, json_text, long_text, utc_datetime

title = "Agents, their tasks and their metrics"
phase = "expand"

revision = "native_0005"
down_revision = "native_0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agent_instances",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("agent_type", sa.String(64), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.Column("updated_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.Column("accessed_at", utc_datetime(6), nullable=True),
        sa.Column("terminated_at", utc_datetime(6), nullable=True),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_agent_instances_type_status", "agent_instances", ["agent_type", "status"])
    op.create_table(
        "task_executions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("agent_id", sa.String(64), nullable=True),
        sa.Column("agent_type", sa.String(64), nullable=False),
        sa.Column("task_type", sa.String(64), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=True),
        sa.Column("task_data", json_text(), nullable=True),
        sa.Column("result", json_text(), nullable=True),
        sa.Column("error", long_text(), nullable=True),
        sa.Column("execution_seconds", sa.Double, nullable=True),
        sa.Column("created_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.Column("started_at", utc_datetime(6), nullable=True),
        sa.Column("completed_at", utc_datetime(6), nullable=True),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agent_instances.id"], name="task_executions_agent_id_fkey", ondelete="SET NULL"
        ),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_task_executions_agent", "task_executions", ["agent_id"])
    op.create_index("idx_task_executions_status_created", "task_executions", ["status", "created_at"])
    op.create_table(
        "agent_metrics",
        sa.Column("id", auto_integer(big=True), primary_key=True),
        sa.Column("agent_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Double, nullable=False),
        sa.Column("recorded_at", utc_datetime(6), nullable=False, server_default=UtcNow(6)),
        sa.ForeignKeyConstraint(
            ["agent_id"], ["agent_instances.id"], name="agent_metrics_agent_id_fkey", ondelete="CASCADE"
        ),
        **TEXT_OPTIONS,
    )
    op.create_index("idx_agent_metrics_agent_name_recorded", "agent_metrics", ["agent_id", "name", "recorded_at"])


def downgrade() -> None:
    op.drop_table("agent_metrics")
    op.drop_table("task_executions")
    op.drop_table("agent_instances")
