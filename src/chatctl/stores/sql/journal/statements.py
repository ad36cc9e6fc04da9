"""The statements of a migration run: intended before they run, done after."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from chatctl.stores.sql.journal.runs import now_ms
from chatctl.stores.sql.journal.tables import JournalTables

_INTENDED = "intended"
_DONE = "done"


@dataclass(frozen=True)
class LoggedStatement:
    """One row of `chatctl_statements`. `schema_before` is the schema's fingerprint when it was intended."""

    sql_text: str
    sha256: str
    done: bool
    schema_before: str | None


class StatementLog:
    """The statements of the run `run_id`, by revision and place."""

    def __init__(self, tables: JournalTables, run_id: str) -> None:
        self._table = tables.statements
        self._run_id = run_id

    def get(self, connection: sa.Connection, revision: str, ordinal: int) -> LoggedStatement | None:
        """What the journal says of one statement, if anything."""
        row = connection.execute(sa.select(self._table).where(self._key(revision, ordinal))).one_or_none()
        if row is None:
            return None
        return LoggedStatement(row.sql_text, row.sha256, row.state == _DONE, row.schema_before)

    def intend(
        self, connection: sa.Connection, revision: str, ordinal: int, sql: str, sha256: str, schema_before: str
    ) -> None:
        """Notes that the statement is about to run."""
        self._write(connection, revision, ordinal, sql, sha256, _INTENDED, schema_before)

    def done(self, connection: sa.Connection, revision: str, ordinal: int, sql: str, sha256: str) -> None:
        """Notes that the statement has run."""
        self._write(connection, revision, ordinal, sql, sha256, _DONE, None)

    def forget(self, connection: sa.Connection, revision: str, ordinal: int) -> None:
        """Takes back that the statement was intended."""
        connection.execute(self._table.delete().where(self._key(revision, ordinal)))

    def has_any(self, connection: sa.Connection, revision: str) -> bool:
        """Whether statements of this revision are in the journal: durable ones of one that isn't applied."""
        column = self._table.c
        query = sa.select(column.ordinal).where(column.run_id == self._run_id, column.revision == revision).limit(1)
        return connection.execute(query).first() is not None

    def _write(
        self,
        connection: sa.Connection,
        revision: str,
        ordinal: int,
        sql: str,
        sha256: str,
        state: str,
        schema: str | None,
    ) -> None:
        moment = now_ms()
        finished = moment if state == _DONE else None
        updated = connection.execute(
            self._table.update().where(self._key(revision, ordinal)).values(state=state, finished_ms=finished)
        )
        if updated.rowcount:
            return
        connection.execute(
            self._table.insert().values(
                run_id=self._run_id,
                revision=revision,
                ordinal=ordinal,
                state=state,
                sql_text=sql,
                sha256=sha256,
                schema_before=schema,
                started_ms=moment,
                finished_ms=finished,
            )
        )

    def _key(self, revision: str, ordinal: int) -> sa.ColumnElement[bool]:
        column = self._table.c
        return sa.and_(column.run_id == self._run_id, column.revision == revision, column.ordinal == ordinal)
