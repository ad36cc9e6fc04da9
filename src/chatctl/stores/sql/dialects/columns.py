"""Taking columns away so that they can come back exactly: types, defaults, keys and indexes as they were.

Before a column goes, its definition is kept in the engine's own words. Coming back, that text is run again, the
values are filled from the parent's rows, and only then are they required. One class an engine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.operations import Operations

from chatctl.errors import RevisionError
from chatctl.stores.sql.dialects import sqlite_rebuild
from chatctl.stores.sql.dialects.ddl import engine_of

#: A definition in the engine's words, fit for JSON.
Kept = dict[str, Any]


@dataclass(frozen=True)
class Source:
    """Where values come from when columns come back: the parent row's columns of the same names."""

    parent: str
    key: str
    link: str


class ColumnRemoval:
    """What the server engines share. `declared` columns stand in where nothing was kept, as in a script."""

    def __init__(self, op: Operations, table: str, declared: list[sa.Column[Any]]) -> None:
        self.op = op
        self.table = table
        self.declared = declared
        self.names = [column.name for column in declared]

    def quoted(self, name: str) -> str:
        """`name` as the engine quotes identifiers."""
        return self.op.get_context().dialect.identifier_preparer.quote_identifier(name)

    def run(self, sql: str) -> None:
        """Sends `sql` as it is: a colon in it is no parameter."""
        self.op.execute(sa.text(sql.replace(":", r"\:")))

    def read(self, sql: str, **parameters: Any) -> list[Any]:
        """The rows of a query, once it is known that there is a database to ask."""
        return list(self.op.get_bind().execute(sa.text(sql), parameters))

    def keep(self) -> Kept:
        """The columns' definitions, and those of the keys and indexes that go with them.

        `add` are the statements that bring the columns back empty, `finish` those that follow once they are full;
        `drop` are those that come before the columns go.
        """
        return self.declared_statements()

    def remove(self, kept: Kept) -> None:
        """Drops the columns; indexes and constraints over them go with them."""
        for sql in kept["drop"]:
            self.run(sql)
        for name in reversed(self.names):
            self.op.drop_column(self.table, name)

    def restore(self, kept: Kept | None, source: Source) -> None:
        """Brings the columns back, with the values of the parent rows."""
        statements = kept or self.declared_statements()
        for sql in statements["add"]:
            self.run(sql)
        filled = ", ".join(f"{self.quoted(name)} = {self.value(name, source)}" for name in self.names)
        self.run(f"UPDATE {self.quoted(self.table)} SET {filled}")
        for sql in statements["finish"]:
            self.run(sql)

    def value(self, name: str, source: Source) -> str:
        """The expression that finds the parent's value of a column."""
        q = self.quoted
        return (
            f"(SELECT parent.{q(name)} FROM {q(source.parent)} AS parent"
            f" WHERE parent.{q(source.key)} = {q(self.table)}.{q(source.link)})"
        )

    def declared_statements(self) -> Kept:
        """The definitions as the revision declares them."""
        dialect = self.op.get_context().dialect
        alter = f"ALTER TABLE {self.quoted(self.table)}"
        kept: Kept = {"drop": [], "add": [], "finish": []}
        for column in self.declared:
            text = f"{self.quoted(column.name)} {column.type.compile(dialect)}"
            kept["add"].append(f"{alter} ADD COLUMN {text}")
            if not column.nullable:
                kept["finish"].append(self.required(column.name, text))
        return kept

    def required(self, name: str, definition: str) -> str:
        """The statement that makes a column NOT NULL."""
        return f"ALTER TABLE {self.quoted(self.table)} ALTER COLUMN {self.quoted(name)} SET NOT NULL"


class PostgreSQLRemoval(ColumnRemoval):
    """PostgreSQL gives every definition back as SQL. A column that comes back is its table's last one."""

    def keep(self) -> Kept:
        """From the catalogue: format_type, pg_get_constraintdef, pg_get_indexdef."""
        alter = f"ALTER TABLE {self.quoted(self.table)}"
        kept: Kept = {"drop": [], "add": [], "finish": []}
        numbers = []
        for number, name, type_, required, default in self._columns():
            numbers.append(number)
            column = self.quoted(name)
            kept["add"].append(f"{alter} ADD COLUMN {column} {type_}")
            if default is not None:
                kept["finish"].append(f"{alter} ALTER COLUMN {column} SET DEFAULT {default}")
            if required:
                kept["finish"].append(self.required(name, ""))
        kept["finish"] += [f"{alter} ADD CONSTRAINT {self.quoted(n)} {d}" for n, d in self._constraints(numbers)]
        kept["finish"] += self._indexes(numbers)
        return kept

    def _columns(self) -> list[Any]:
        return self.read(
            "SELECT a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
            " pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a"
            " LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum"
            " WHERE a.attrelid = to_regclass(:table) AND a.attname = ANY(:names) ORDER BY a.attnum",
            table=self.quoted(self.table),
            names=self.names,
        )

    def _constraints(self, numbers: list[int]) -> list[Any]:
        return self.read(
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = to_regclass(:table)"
            " AND contype IN ('c', 'f', 'u', 'x') AND conkey && CAST(:numbers AS smallint[]) ORDER BY conname",
            table=self.quoted(self.table),
            numbers=numbers,
        )

    def _indexes(self, numbers: list[int]) -> list[str]:
        # What depends on a column is more than indkey tells: an expression or a WHERE may name it.
        rows = self.read(
            "SELECT DISTINCT pg_get_indexdef(i.indexrelid) FROM pg_index i"
            " JOIN pg_depend d ON d.objid = i.indexrelid AND d.refobjid = i.indrelid"
            " WHERE i.indrelid = to_regclass(:table) AND d.refobjsubid = ANY(:numbers)"
            " AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid) ORDER BY 1",
            table=self.quoted(self.table),
            numbers=numbers,
        )
        return [row[0] for row in rows]


class MySQLRemoval(ColumnRemoval):
    """MySQL and MariaDB keep definitions as the lines of SHOW CREATE TABLE."""

    def keep(self) -> Kept:
        """The lines of the columns, and of the keys and constraints over them."""
        alter = f"ALTER TABLE {self.quoted(self.table)}"
        kept: Kept = {"drop": [], "add": [], "finish": []}
        place = "FIRST"
        for line in self._lines():
            name = _leading_name(line)
            if name in self.names:
                nullable = re.sub(r"\bNOT NULL\b", "", line, count=1)
                kept["add"].append(f"{alter} ADD COLUMN {nullable} {place}")
                if nullable != line:
                    kept["finish"].append(f"{alter} MODIFY COLUMN {line} {place}")
            elif name is None and self._over_ours(line):
                kept["finish"].append(f"{alter} ADD {line}")
                # A foreign key leans on an index, so it goes before all of them.
                at = 0 if line.startswith("CONSTRAINT") else len(kept["drop"])
                # The server would keep an index without the column, only shorter.
                kept["drop"].insert(at, f"{alter} DROP {self._dropped(line)}")
            place = f"AFTER {self.quoted(name)}" if name else place
        return kept

    def required(self, name: str, definition: str) -> str:
        """MODIFY repeats the whole definition."""
        return f"ALTER TABLE {self.quoted(self.table)} MODIFY COLUMN {definition} NOT NULL"

    def _lines(self) -> list[str]:
        text: str = self.read(f"SHOW CREATE TABLE {self.quoted(self.table)}")[0][1]
        return [line.strip().removesuffix(",") for line in text.splitlines()[1:] if line.startswith("  ")]

    def _over_ours(self, line: str) -> bool:
        own = line.partition(" REFERENCES ")[0]
        return any(self.quoted(name) in own for name in self.names)

    def _dropped(self, line: str) -> str:
        words = line.partition("(")[0].split()
        if words[0] == "CONSTRAINT":
            return f"{'FOREIGN KEY' if 'FOREIGN' in words else 'CONSTRAINT'} {words[1]}"
        return f"INDEX {words[words.index('KEY') + 1]}"


class SQLiteRemoval(ColumnRemoval):
    """The table is made anew, from its own text."""

    def keep(self) -> Kept:
        """The definitions with their places, and the indexes that name a column."""
        return {"definitions": self._text().removed(set(self.names)), "indexes": self._indexes(ours=True)}

    def remove(self, kept: Kept) -> None:
        """Rebuilds the table without the columns."""
        if self.op.get_context().as_sql:
            super().remove(kept)
            return
        self._rebuild(self._text().without(set(self.names)), {}, [])

    def restore(self, kept: Kept | None, source: Source) -> None:
        """Rebuilds the table with the columns at their old places, full from the first moment."""
        if self.op.get_context().as_sql:
            raise RevisionError(
                "This step can't be scripted for SQLite: the table is rebuilt from what it is at that moment.",
                hint="chatctl migrate down runs it.",
            )
        definitions = [(place, text) for place, text in kept["definitions"]] if kept else self._declared()
        filled = {self.quoted(name): self.value(name, source) for name in self.names}
        self._rebuild(self._text().having(definitions), filled, kept["indexes"] if kept else [])

    def _declared(self) -> list[tuple[int, str]]:
        dialect = self.op.get_context().dialect
        texts = (
            f"{self.quoted(column.name)} {column.type.compile(dialect)}{'' if column.nullable else ' NOT NULL'}"
            for column in self.declared
        )
        return list(enumerate(texts, start=1))

    def _text(self) -> sqlite_rebuild.TableText:
        rows = self.read("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = :table", table=self.table)
        return sqlite_rebuild.TableText.parse(rows[0][0])

    def _indexes(self, *, ours: bool) -> list[str]:
        """The statements of the table's indexes: those that name one of our columns, or the other ones."""
        rows = self.read(
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = :table AND sql IS NOT NULL"
            " ORDER BY rowid",
            table=self.table,
        )
        return [sql for (sql,) in rows if sqlite_rebuild.index_names_any(sql, set(self.names)) is ours]

    def _rebuild(self, text: sqlite_rebuild.TableText, filled: dict[str, str], indexes: list[str]) -> None:
        old, new = self.quoted(self.table), self.quoted(f"chatctl_rebuilt_{self.table}")
        others = [*self._indexes(ours=False), *indexes, *self._triggers()]
        columns = [self.quoted(name) for name in self._stored_columns() if name not in self.names]
        self.run(text.sql(new))
        self.run(sqlite_rebuild.copy_statement(old, new, columns, filled))
        self.run(f"DROP TABLE {old}")
        # Without it the new name is refused while a view, or another table's foreign key, waits for the old one.
        self.run("PRAGMA legacy_alter_table = ON")
        self.run(f"ALTER TABLE {new} RENAME TO {old}")
        self.run("PRAGMA legacy_alter_table = OFF")
        for sql in others:
            self.run(sql)

    def _triggers(self) -> list[str]:
        rows = self.read(
            "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table ORDER BY rowid",
            table=self.table,
        )
        return [sql for (sql,) in rows]

    def _stored_columns(self) -> list[str]:
        """The columns that can be written: a generated one has no value of its own."""
        rows = self.read("SELECT name FROM pragma_table_xinfo(:table) WHERE hidden = 0", table=self.table)
        return [name for (name,) in rows]


_BY_ENGINE: dict[str, type[ColumnRemoval]] = {
    "sqlite": SQLiteRemoval,
    "mysql": MySQLRemoval,
    "mariadb": MySQLRemoval,
    "postgresql": PostgreSQLRemoval,
}


def removal_for(op: Operations, table: str, declared: list[sa.Column[Any]]) -> ColumnRemoval:
    """The removal of `declared` columns from `table` on the engine that `op` writes for."""
    return _BY_ENGINE[engine_of(op)](op, table, declared)


def _leading_name(line: str) -> str | None:
    match = re.match(r"`((?:[^`]|``)+)`", line)
    return match[1].replace("``", "`") if match else None
