"""The schema of a database that answers, as a script of CREATE TABLE: what a linter knows to begin with."""

from __future__ import annotations

import warnings

import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import OWN_PREFIX


def live_schema(database: Database) -> str:
    """The tables of `database` with their columns and indexes, chatctl's own left out."""
    metadata = sa.MetaData()
    with database.connect() as connection, warnings.catch_warnings():
        # A type or an index that SQLAlchemy doesn't know is left out, and the linter says less of it.
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        metadata.reflect(connection, only=lambda name, _: not name.startswith(OWN_PREFIX), resolve_fks=False)
        dialect = connection.dialect
        made = []
        for table in metadata.tables.values():
            made.append(str(CreateTable(table).compile(dialect=dialect)))
            made += [str(CreateIndex(index).compile(dialect=dialect)) for index in table.indexes]
    return ";\n".join(made)
