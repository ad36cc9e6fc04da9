"""The journal: runs, ranges, batches, statements, locks and recorded schemas."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

from chatctl.stores.sql.types import long_text

title = "The journal"
phase = "legacy"

revision = "core_0001"
down_revision = None
branch_labels = ("core",)
depends_on = None


def upgrade() -> None:
    # Where DDL commits by itself, a kill leaves some of these tables: making the rest must not stumble over them.
    schema = context.config.attributes.get("journal_schema")
    op.create_table(
        "chatctl_meta",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", long_text(), nullable=False),
        schema=schema,
        if_not_exists=True,
    )
    op.create_table(
        "chatctl_runs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("layout", sa.String(64), nullable=False),
        sa.Column("scope", sa.String(255), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("options", long_text(), nullable=False),
        sa.Column("totals", long_text(), nullable=False),
        sa.Column("plan_fingerprint", sa.String(64), nullable=True),
        sa.Column("error", long_text(), nullable=True),
        sa.Column("started_by", sa.String(255), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("chatctl_version", sa.String(32), nullable=False),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("finished_ms", sa.BigInteger, nullable=True),
        schema=schema,
        if_not_exists=True,
    )
    op.create_table(
        "chatctl_ranges",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("bounds", long_text(), nullable=False),
        sa.Column("position", long_text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("rows_done", sa.BigInteger, nullable=False),
        sa.Column("batches", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.String(64), nullable=True),
        sa.Column("lease_token", sa.BigInteger, nullable=False),
        sa.Column("lease_until_ms", sa.BigInteger, nullable=False),
        sa.Column("error", long_text(), nullable=True),
        schema=schema,
        if_not_exists=True,
    )
    op.create_table(
        "chatctl_batches",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("range_number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("token", sa.String(32), nullable=False),
        sa.Column("row_count", sa.BigInteger, nullable=False),
        sa.Column("milliseconds", sa.BigInteger, nullable=False),
        sa.Column("committed_ms", sa.BigInteger, nullable=False),
        schema=schema,
        if_not_exists=True,
    )
    op.create_table(
        "chatctl_statements",
        sa.Column("run_id", sa.String(40), primary_key=True),
        sa.Column("revision", sa.String(64), primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("sql_text", long_text(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("schema_before", sa.String(64), nullable=True),
        sa.Column("started_ms", sa.BigInteger, nullable=False),
        sa.Column("finished_ms", sa.BigInteger, nullable=True),
        schema=schema,
        if_not_exists=True,
    )
    op.create_table(
        "chatctl_schemas",
        sa.Column("layout", sa.String(64), primary_key=True),
        sa.Column("snapshot", long_text(), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger, nullable=False),
        schema=schema,
        if_not_exists=True,
    )
    op.create_table(
        "chatctl_locks",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.Column("run_id", sa.String(40), nullable=True),
        sa.Column("holder", sa.String(255), nullable=True),
        sa.Column("host", sa.String(255), nullable=True),
        sa.Column("process_id", sa.Integer, nullable=True),
        sa.Column("connection_ids", sa.String(255), nullable=True),
        sa.Column("taken_ms", sa.BigInteger, nullable=True),
        sa.Column("lease_until_ms", sa.BigInteger, nullable=True),
        schema=schema,
        if_not_exists=True,
    )


def downgrade() -> None:
    schema = context.config.attributes.get("journal_schema")
    for name in ("locks", "schemas", "statements", "batches", "ranges", "runs", "meta"):
        op.drop_table(f"chatctl_{name}", schema=schema)
