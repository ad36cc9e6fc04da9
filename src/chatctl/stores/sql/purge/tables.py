"""Purge's tables beside the journal, as SQLAlchemy Core sees them; `migrations/versions/core` makes them."""

from __future__ import annotations

from functools import cache

import sqlalchemy as sa

from chatctl.stores.sql.types import long_text


@cache
def purge_tables(schema: str | None) -> PurgeTables:
    """The tables in `schema`, always the same: a statement on other ones is compiled anew."""
    return PurgeTables(schema)


class PurgeTables:
    """The tables, in `schema` or in the connection's own."""

    def __init__(self, schema: str | None) -> None:
        self.metadata = sa.MetaData(schema=schema)
        self.holds = sa.Table(
            "chatctl_holds",
            self.metadata,
            sa.Column("id", sa.String(40), primary_key=True),
            sa.Column("kind", sa.String(16), nullable=False),
            sa.Column("value", long_text(), nullable=False),
            sa.Column("reason", long_text(), nullable=False),
            sa.Column("author", sa.String(255), nullable=False),
            sa.Column("created_ms", sa.BigInteger, nullable=False),
            sa.Column("expires_ms", sa.BigInteger),
            sa.Column("released_ms", sa.BigInteger),
            sa.Column("released_by", sa.String(255)),
        )
        self.exemptions = sa.Table(
            "chatctl_exemptions",
            self.metadata,
            sa.Column("chat_sha256", sa.String(64), primary_key=True),
            sa.Column("run_id", sa.String(40), nullable=False),
            sa.Column("until_ms", sa.BigInteger, nullable=False),
        )
        self.archives = sa.Table(
            "chatctl_archives",
            self.metadata,
            sa.Column("run_id", sa.String(40), primary_key=True),
            sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("place", sa.String(16), nullable=False),
            sa.Column("file", long_text()),
            sa.Column("chats", sa.BigInteger, nullable=False),
            sa.Column("row_count", sa.BigInteger, nullable=False),
            sa.Column("bytes", sa.BigInteger, nullable=False),
            sa.Column("sha256", sa.String(64), nullable=False),
            sa.Column("made_ms", sa.BigInteger, nullable=False),
        )
        self.lines = sa.Table(
            "chatctl_archived_lines",
            self.metadata,
            sa.Column("run_id", sa.String(40), primary_key=True),
            sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("content", long_text(), nullable=False),
        )
