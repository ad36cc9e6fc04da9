"""How each engine changes a schema with the least locking; revisions reach it through `chatctl.stores.sql.ddl`.

One class an engine. What they share stands in SchemaChanges; the SQLite table rebuild is in `sqlite_rebuild`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine


@dataclass(frozen=True)
class Reference:
    """A foreign key from one column to a parent's column."""

    name: str
    table: str
    column: str
    parent: str
    parent_column: str
    on_delete: str


class SchemaChanges:
    """The plain way: each change is one statement, as Alembic writes it."""

    def __init__(self, op: Operations) -> None:
        self.op = op

    def quoted(self, name: str) -> str:
        """`name` as the engine quotes identifiers."""
        return self.op.get_context().dialect.identifier_preparer.quote_identifier(name)

    def column_type(self, table: str, column: str) -> TypeEngine[Any] | None:
        """The type that the column has in the database, or None where there is no such column."""
        inspector = sa.inspect(self.op.get_bind())
        if not inspector.has_table(table):
            return None
        found = {item["name"]: item["type"] for item in inspector.get_columns(table)}
        return found.get(column)

    def create_index(self, name: str, table: str, columns: list[str]) -> None:
        """Builds an index while the application goes on writing."""
        self.op.create_index(name, table, columns)

    def drop_index(self, name: str, table: str) -> None:
        """Drops an index while the application goes on writing."""
        self.op.drop_index(name, table)

    def add_reference(self, reference: Reference, column: sa.Column[object], index: str, indexed: list[str]) -> None:
        """Adds the nullable `column`, an index that starts with it, and the foreign key."""
        self.op.add_column(reference.table, column)
        # The index comes first: it is what the foreign key is checked by.
        self.create_index(index, reference.table, indexed)
        self.add_foreign_key(reference)

    def add_foreign_key(self, reference: Reference) -> None:
        """Adds the foreign key on a column that holds only nulls."""
        raise NotImplementedError

    def drop_reference(self, reference: Reference, index: str) -> None:
        """Takes back what `add_reference` added."""
        self.op.drop_constraint(reference.name, reference.table, type_="foreignkey")
        self.drop_index(index, reference.table)
        self.op.drop_column(reference.table, reference.column)

    def foreign_key_clause(self, reference: Reference) -> str:
        """`ADD CONSTRAINT … FOREIGN KEY …`, quoted for this engine."""
        return (
            f"ADD CONSTRAINT {self.quoted(reference.name)} FOREIGN KEY ({self.quoted(reference.column)})"
            f" REFERENCES {self.quoted(reference.parent)} ({self.quoted(reference.parent_column)})"
            f" ON DELETE {reference.on_delete}"
        )


class PostgreSQLChanges(SchemaChanges):
    """Indexes CONCURRENTLY, constraints NOT VALID and then validated: no statement blocks writes for long."""

    def create_index(self, name: str, table: str, columns: list[str]) -> None:
        """CREATE INDEX CONCURRENTLY, which can't run in a transaction."""
        with self.op.get_context().autocommit_block():
            self.op.create_index(name, table, columns, postgresql_concurrently=True)

    def drop_index(self, name: str, table: str) -> None:
        """DROP INDEX CONCURRENTLY."""
        with self.op.get_context().autocommit_block():
            self.op.drop_index(name, table, postgresql_concurrently=True)

    def add_foreign_key(self, reference: Reference) -> None:
        """NOT VALID locks for an instant; VALIDATE, in a transaction of its own, lets writes pass."""
        table = self.quoted(reference.table)
        self.op.execute(f"ALTER TABLE {table} {self.foreign_key_clause(reference)} NOT VALID")
        with self.op.get_context().autocommit_block():
            self.op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {self.quoted(reference.name)}")


class MySQLChanges(SchemaChanges):
    """In place: columns INSTANT, indexes INPLACE; a foreign key is added without the check that needs a copy."""

    def column_type(self, table: str, column: str) -> TypeEngine[Any] | None:
        """With the collation that the column has from its table, without which a foreign key would be refused."""
        found = super().column_type(table, column)
        if not isinstance(found, sa.String):
            return found
        collation = self.op.get_bind().scalar(
            sa.text(
                "SELECT collation_name FROM information_schema.columns"
                " WHERE table_schema = DATABASE() AND table_name = :table AND column_name = :column"
            ),
            {"table": table, "column": column},
        )
        return mysql.VARCHAR(found.length, collation=collation)

    def add_foreign_key(self, reference: Reference) -> None:
        """With checks on the server copies the table under a lock; a column of nulls has nothing to check."""
        self.op.execute("SET SESSION foreign_key_checks = 0")
        self.op.execute(f"ALTER TABLE {self.quoted(reference.table)} {self.foreign_key_clause(reference)}")
        self.op.execute("SET SESSION foreign_key_checks = 1")


class MariaDBChanges(MySQLChanges):
    """MariaDB sets a variable for one statement, so no session is left without checks."""

    def add_foreign_key(self, reference: Reference) -> None:
        """One statement: what is killed before it or after it leaves the session as it was."""
        change = f"ALTER TABLE {self.quoted(reference.table)} {self.foreign_key_clause(reference)}"
        self.op.execute(f"SET STATEMENT foreign_key_checks = 0 FOR {change}")


class SQLiteChanges(SchemaChanges):
    """SQLite adds a foreign key only together with its column, and drops such a column in place."""

    def add_reference(self, reference: Reference, column: sa.Column[object], index: str, indexed: list[str]) -> None:
        """ADD COLUMN … REFERENCES, which rewrites nothing."""
        parent = f"{reference.parent}.{reference.parent_column}"
        column.append_foreign_key(sa.ForeignKey(parent, ondelete=reference.on_delete))
        self.op.add_column(reference.table, column, inline_references=True)
        self.create_index(index, reference.table, indexed)

    def drop_reference(self, reference: Reference, index: str) -> None:
        """The reference goes with its column."""
        self.drop_index(index, reference.table)
        self.op.drop_column(reference.table, reference.column)


_BY_DIALECT: dict[str, type[SchemaChanges]] = {
    "sqlite": SQLiteChanges,
    "mysql": MySQLChanges,
    "mariadb": MariaDBChanges,
    "postgresql": PostgreSQLChanges,
}


def engine_of(op: Operations) -> str:
    """The engine that `op` writes for, MariaDB told from MySQL where a server can be asked."""
    dialect = op.get_context().dialect
    return "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name


def changes_for(op: Operations) -> SchemaChanges:
    """The schema changes of the engine that `op` writes for."""
    return _BY_DIALECT[engine_of(op)](op)
