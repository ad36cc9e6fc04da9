"""The journal's front door: whether it is there, making it, and the parts it holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import sqlalchemy as sa
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_random

from chatctl.errors import JournalTooNewError, LockedError
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal.runs import Runs, now_ms
from chatctl.stores.sql.journal.tables import JournalTables, journal_tables
from chatctl.stores.sql.thresholds import Thresholds

if TYPE_CHECKING:
    from chatctl.stores.sql.revisions import Revisions

#: The format that this chatctl writes. A newer one in a database is refused: its meaning is unknown here.
FORMAT = 1

_FORMAT_KEY = "format"
_MAKING_LOCK = "chatctl_journal"
_MAKING_SECONDS = 60


class Journal:
    """chatctl's own tables in `database`, in `schema` or beside the application's.

    With `qualified` each query names the schema, so that connections with a search path of their own find them too.
    """

    def __init__(
        self,
        database: Database,
        schema: str | None = None,
        *,
        qualified: bool = False,
        thresholds: Thresholds | None = None,
    ) -> None:
        self.database = database
        self._schema_setting = schema
        self._qualified = qualified
        #: What runs that are journaled here wait for between their batches.
        self.thresholds = thresholds or Thresholds()

    @property
    def schema(self) -> str | None:
        """The schema that holds the journal, or None for the connection's own."""
        return self.database.family.qualified(self._schema_setting)

    @property
    def tables(self) -> JournalTables:
        """The tables, for queries."""
        return journal_tables(self.schema or (self._default_schema if self._qualified else None))

    @cached_property
    def _default_schema(self) -> str | None:
        with self.database.reading() as connection:
            return self.database.dialect.qualified(sa.inspect(connection).default_schema_name)

    @property
    def runs(self) -> Runs:
        """The runs."""
        return Runs(self.tables)

    def exists(self, connection: sa.Connection) -> bool:
        """Whether the journal is there; raises JournalTooNewError where a newer chatctl has changed its format."""
        if not sa.inspect(connection).has_table("chatctl_meta", schema=self.schema):
            return False
        meta = self.tables.meta
        written = connection.scalar(sa.select(meta.c.value).where(meta.c.name == _FORMAT_KEY))
        if written is not None and int(written) > FORMAT:
            raise JournalTooNewError(
                f"The journal has format {written}; this chatctl knows formats up to {FORMAT}.",
            )
        return written is not None

    def ensure(self) -> None:
        """Makes the journal's tables, or brings them up to date; does nothing where they are.

        Safe to call from any number of processes at once.
        """
        # Alembic takes a while to load, and most commands find the tables without it.
        from chatctl.stores.sql.revisions import Revisions

        revisions = Revisions("core", self.database.dialect, self._schema_setting)
        with self.database.reading() as connection:
            if self.exists(connection) and revisions.current(connection) == revisions.chain[-1].id:
                return
        with self.database.translating(), self.database.engine.connect() as connection:
            if self.database.dialect.takes_turns:
                # All or nothing, and a pooler can't part the lock from the work.
                with connection.begin():
                    self.database.dialect.take_turn(connection, _MAKING_LOCK)
                    self._make(connection, revisions)
                return
            self._wait_for_making(connection)
            try:
                self._make(connection, revisions)
                connection.commit()
            except Exception as problem:
                connection.rollback()
                if self.database.dialect.locks_hold_everywhere(connection):
                    raise
                raise LockedError(
                    "Another chatctl makes the journal's tables by way of another node.", hint="Run it again."
                ) from problem
            finally:
                connection.rollback()
                self.database.dialect.unlock(connection, _MAKING_LOCK)
                connection.rollback()

    def _wait_for_making(self, connection: sa.Connection) -> None:
        def take() -> bool:
            taken = self.database.dialect.try_lock(connection, _MAKING_LOCK)
            connection.rollback()
            return taken

        retrying = Retrying(
            retry=retry_if_result(lambda taken: not taken),
            wait=wait_random(0.05, 0.3),
            stop=stop_after_delay(_MAKING_SECONDS),
            retry_error_callback=lambda state: False,
        )
        if not retrying(take):
            raise LockedError("Another chatctl is making the journal's tables, and doesn't finish.")

    def _make(self, connection: sa.Connection, revisions: Revisions) -> None:
        if self.schema:
            connection.execute(sa.schema.CreateSchema(self.schema, if_not_exists=True))
        for revision in revisions.between(revisions.current(connection), "head"):
            revisions.run(connection, revision, "up")
        meta = self.tables.meta
        connection.execute(meta.delete().where(meta.c.name == _FORMAT_KEY))
        connection.execute(meta.insert().values(name=_FORMAT_KEY, value=str(FORMAT)))

    # --- the text of applied revisions ----------------------------------------------------------------------

    def sources(self, connection: sa.Connection, layout: str) -> dict[str, str]:
        """The text of each revision that was applied, by its ID."""
        table = self.tables.sources
        rows = connection.execute(sa.select(table.c.revision, table.c.source_text).where(table.c.layout == layout))
        return {row.revision: row.source_text for row in rows}

    def record_source(self, connection: sa.Connection, layout: str, revision: str, text: str | None) -> None:
        """Keeps the text of a revision that was applied; None forgets it."""
        table = self.tables.sources
        connection.execute(table.delete().where(table.c.layout == layout, table.c.revision == revision))
        if text is not None:
            connection.execute(table.insert().values(layout=layout, revision=revision, source_text=text))

    # --- recorded schemas -----------------------------------------------------------------------------------

    def recorded_schema(self, connection: sa.Connection, layout: str) -> dict[str, str] | None:
        """The snapshot that drift is measured from, if one was recorded."""
        table = self.tables.schemas
        text = connection.scalar(sa.select(table.c.snapshot).where(table.c.layout == layout))
        return json.loads(text) if text else None

    def record_schema(self, connection: sa.Connection, layout: str, snapshot: Mapping[str, str], run_id: str) -> None:
        """Records the snapshot that drift will be measured from."""
        table = self.tables.schemas
        connection.execute(table.delete().where(table.c.layout == layout))
        connection.execute(
            table.insert().values(
                layout=layout,
                snapshot=json.dumps(snapshot, sort_keys=True),
                run_id=run_id,
                recorded_ms=now_ms(),
            )
        )
