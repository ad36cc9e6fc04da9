"""A scratch schema on PostgreSQL: each table LIKE the original, then what LIKE would name anew."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from chatctl.stores.sql.dialects.scratch import PREFIX, ScratchMaker, is_copied

_ENUMS = """
    SELECT format('CREATE TYPE %I AS ENUM (%s)', t.typname,
                  (SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
                     FROM pg_enum WHERE enumtypid = t.oid))
      FROM pg_type t WHERE t.typtype = 'e' AND t.typnamespace = CAST(:schema AS regnamespace) ORDER BY t.oid
"""
#: A column that takes its values from a sequence shall not take them from the original's.
_SERIALS = """
    SELECT c.relname, a.attname, s.relname FROM pg_class s
      JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'
      JOIN pg_class c ON c.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
     WHERE s.relkind = 'S' AND c.relnamespace = CAST(:schema AS regnamespace) ORDER BY s.oid
"""
#: Primary keys and the like come first: foreign keys lean on them, and their indexes come with them.
_CONSTRAINTS = """
    SELECT c.relname, format('ALTER TABLE %I ADD CONSTRAINT %I %s', c.relname, k.conname,
                             pg_get_constraintdef(k.oid, true))
      FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
     WHERE c.relnamespace = CAST(:schema AS regnamespace) AND c.relkind IN ('r', 'p') AND k.conparentid = 0
       AND k.contype = ANY(:kinds) ORDER BY k.contype DESC, k.oid
"""
_INDEXES = """
    SELECT c.relname, pg_get_indexdef(i.indexrelid, 0, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
     WHERE c.relnamespace = CAST(:schema AS regnamespace) AND c.relkind IN ('r', 'p') AND i.indisvalid
       AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
     ORDER BY i.indexrelid
"""
_VIEWS = """
    SELECT c.relname, format('CREATE %s %I AS %s', CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END,
                             c.relname, pg_get_viewdef(c.oid, true))
      FROM pg_class c WHERE c.relnamespace = CAST(:schema AS regnamespace) AND c.relkind IN ('v', 'm') ORDER BY c.oid
"""


class PostgreSQLScratch(ScratchMaker):
    """A schema of its own, and nothing else on the search path."""

    current = "SELECT current_schema()"
    listing = f"SELECT nspname FROM pg_namespace WHERE nspname LIKE '{PREFIX}%%'"

    def url(self, url: sa.URL, name: str | None) -> sa.URL:
        """The search path is one of the connection's options."""
        return url.update_query_dict({"options": f"-csearch_path={name} -ctimezone=UTC"}) if name else url

    def create(self, keeper: sa.Connection, source: sa.Connection, name: str) -> None:
        """CREATE SCHEMA."""
        keeper.exec_driver_sql(f"CREATE SCHEMA {name}")

    def fill(self, target: sa.Connection, source: sa.Connection, schema: str) -> None:
        """Types, tables, sequences, keys, indexes and views, each as the server itself describes them."""
        for sql in self._statements(source, schema):
            target.exec_driver_sql(sql.replace("%", "%%"))
        self.carry_rows(target, source)

    def schemas(self, source: sa.Connection) -> list[str]:
        """All but the server's own."""
        names = sa.inspect(source).get_schema_names()
        return [name for name in names if not name.startswith("pg_") and name != "information_schema"]

    def drop(self, keeper: sa.Connection, name: str) -> None:
        """DROP SCHEMA … CASCADE."""
        keeper.exec_driver_sql(f"DROP SCHEMA IF EXISTS {name} CASCADE")

    def try_hold(self, keeper: sa.Connection, name: str) -> bool:
        """pg_try_advisory_lock."""
        query = sa.text("SELECT pg_try_advisory_lock(hashtextextended(:name, 0))")
        return bool(keeper.execute(query, {"name": name}).scalar())

    def _statements(self, source: sa.Connection, schema: str) -> Iterator[str]:
        quote = source.dialect.identifier_preparer.quote_identifier
        here = {"schema": quote(schema)}
        yield from source.scalars(sa.text(_ENUMS), here)
        copied = [name for name in sa.inspect(source).get_table_names() if is_copied(name, self._carried)]
        for name in copied:
            original = f"{quote(schema)}.{quote(name)}"
            yield f"CREATE TABLE {quote(name)} (LIKE {original} INCLUDING ALL EXCLUDING INDEXES)"
        for table, column, sequence in source.execute(sa.text(_SERIALS), here):
            if table in copied:
                yield from self._sequence(quote(table), quote(column), quote(sequence), sequence)
        keys = list(source.execute(sa.text(_CONSTRAINTS), {**here, "kinds": ["p", "u", "x"]}))
        foreign = list(source.execute(sa.text(_CONSTRAINTS), {**here, "kinds": ["f"]}))
        indexes, views = (list(source.execute(sa.text(query), here)) for query in (_INDEXES, _VIEWS))
        for table, sql in [*keys, *indexes, *foreign]:
            if table in copied:
                yield sql
        yield from (sql for _, sql in views)

    def _sequence(self, table: str, column: str, quoted: str, name: str) -> Iterator[str]:
        literal = name.replace("'", "''")
        yield f"CREATE SEQUENCE {quoted} OWNED BY {table}.{column}"
        yield f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT nextval('\"{literal}\"')"
