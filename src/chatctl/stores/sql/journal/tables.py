"""The journal's tables as SQLAlchemy Core sees them; `migrations/versions/core` makes them."""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from chatctl.stores.sql.types import long_text


@cache
def journal_tables(schema: str | None) -> JournalTables:
    """The tables in `schema`, always the same: a statement on other ones is compiled anew."""
    return JournalTables(schema)


class JournalTables:
    """The tables, in `schema` or in the connection's own."""

    def __init__(self, schema: str | None) -> None:
        self.metadata = sa.MetaData(schema=schema)
        self.meta = sa.Table(
            "chatctl_meta",
            self.metadata,
            sa.Column("name", sa.String(64), primary_key=True),
            sa.Column("value", long_text(), nullable=False),
        )
        self.runs = sa.Table(
            "chatctl_runs",
            self.metadata,
            sa.Column("id", sa.String(40), primary_key=True),
            sa.Column("kind", sa.String(64), nullable=False),
            sa.Column("layout", sa.String(64), nullable=False),
            sa.Column("scope", sa.String(255), nullable=False),
            sa.Column("status", sa.String(16), nullable=False),
            sa.Column("options", long_text(), nullable=False),
            sa.Column("totals", long_text(), nullable=False),
            sa.Column("plan_fingerprint", sa.String(64)),
            sa.Column("error", long_text()),
            sa.Column("started_by", sa.String(255), nullable=False),
            sa.Column("host", sa.String(255), nullable=False),
            sa.Column("chatctl_version", sa.String(32), nullable=False),
            sa.Column("started_ms", sa.BigInteger, nullable=False),
            sa.Column("finished_ms", sa.BigInteger),
        )
        self.ranges = sa.Table(
            "chatctl_ranges",
            self.metadata,
            sa.Column("run_id", sa.String(40), primary_key=True),
            sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("bounds", long_text(), nullable=False),
            sa.Column("position", long_text(), nullable=False),
            sa.Column("state", sa.String(16), nullable=False),
            sa.Column("rows_done", sa.BigInteger, nullable=False),
            sa.Column("batches", sa.BigInteger, nullable=False),
            sa.Column("worker", sa.String(64)),
            sa.Column("lease_token", sa.BigInteger, nullable=False),
            sa.Column("lease_until_ms", sa.BigInteger, nullable=False),
            sa.Column("error", long_text()),
        )
        self.batches = sa.Table(
            "chatctl_batches",
            self.metadata,
            sa.Column("run_id", sa.String(40), primary_key=True),
            sa.Column("range_number", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("token", sa.String(32), nullable=False),
            sa.Column("row_count", sa.BigInteger, nullable=False),
            sa.Column("milliseconds", sa.BigInteger, nullable=False),
            sa.Column("committed_ms", sa.BigInteger, nullable=False),
        )
        self.lags = sa.Table(
            "chatctl_lags",
            self.metadata,
            sa.Column("run_id", sa.String(40), primary_key=True),
            sa.Column("measured_ms", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("lag_ms", sa.BigInteger, nullable=False),
        )
        self.statements = sa.Table(
            "chatctl_statements",
            self.metadata,
            sa.Column("run_id", sa.String(40), primary_key=True),
            sa.Column("revision", sa.String(64), primary_key=True),
            sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("state", sa.String(16), nullable=False),
            sa.Column("sql_text", long_text(), nullable=False),
            sa.Column("sha256", sa.String(64), nullable=False),
            sa.Column("schema_before", sa.String(64)),
            sa.Column("started_ms", sa.BigInteger, nullable=False),
            sa.Column("finished_ms", sa.BigInteger),
        )
        self.reads = sa.Table(
            "chatctl_reads",
            self.metadata,
            sa.Column("run_id", sa.String(40), primary_key=True),
            sa.Column("revision", sa.String(64), primary_key=True),
            sa.Column("ordinal", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("sha256", sa.String(64), nullable=False),
            sa.Column("answer", long_text()),
        )
        self.sources = sa.Table(
            "chatctl_sources",
            self.metadata,
            sa.Column("layout", sa.String(64), primary_key=True),
            sa.Column("revision", sa.String(64), primary_key=True),
            sa.Column("source_text", long_text(), nullable=False),
        )
        self.schemas = sa.Table(
            "chatctl_schemas",
            self.metadata,
            sa.Column("layout", sa.String(64), primary_key=True),
            sa.Column("snapshot", long_text(), nullable=False),
            sa.Column("run_id", sa.String(40), nullable=False),
            sa.Column("recorded_ms", sa.BigInteger, nullable=False),
        )
        self.locks = sa.Table(
            "chatctl_locks",
            self.metadata,
            sa.Column("name", sa.String(128), primary_key=True),
            sa.Column("token", sa.BigInteger, nullable=False),
            sa.Column("run_id", sa.String(40)),
            sa.Column("holder", sa.String(255)),
            sa.Column("host", sa.String(255)),
            sa.Column("process_id", sa.Integer),
            sa.Column("connection_ids", sa.String(255)),
            sa.Column("taken_ms", sa.BigInteger),
            sa.Column("lease_until_ms", sa.BigInteger),
        )
