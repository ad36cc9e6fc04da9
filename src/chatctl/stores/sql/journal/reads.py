"""What a half-applied revision was told by the database.

A revision with Python code in it decides by what it reads. Begun again after a kill it would read what it has changed
itself meanwhile, and go another way; so it is given the answers of the first time. What it changes answers, too: how
many rows it was, or the keys of new ones, which SQLAlchemy's ORM goes by. Reads are counted up from 1, changes down
from -1.
"""

from __future__ import annotations

import hashlib

import sqlalchemy as sa

from chatctl.errors import RevisionError
from chatctl.stores.sql.answers import Answer
from chatctl.stores.sql.journal.tables import JournalTables
from chatctl.stores.sql.statements import Statement

#: An answer beyond this isn't kept: the journal is no place for a copy of a table.
LONGEST_ANSWER = 16_000_000


def place_of_change(sent: int) -> int:
    """Where the answer of the change stands that was the revision's statement `sent`, counted from 0."""
    return -1 - sent


class ReadLog:
    """The answers that the revision `revision` got in the run `run_id`, in order."""

    def __init__(self, tables: JournalTables, run_id: str, revision: str) -> None:
        self._table = tables.reads
        self._run_id = run_id
        self._revision = revision

    def get(self, connection: sa.Connection, ordinal: int, query: Statement) -> Answer | None:
        """The answer to the statement `ordinal`, if there was one.

        Raises RevisionError where it was too long to be kept, or where the revision now asks something else.
        """
        column = self._table.c
        row = connection.execute(
            sa.select(column.sha256, column.answer).where(self._key(), column.ordinal == ordinal)
        ).one_or_none()
        if row is None:
            return None
        if row.sha256 != _digest(query):
            raise RevisionError(
                f"{self._revision} was changed since it was half applied: it now reads '{query.sql}'.",
                hint="Put the revision back as it was, and run the same command again.",
            )
        if row.answer is None:
            raise RevisionError(
                f"{self._revision} is half applied, and what it went by can't be read again: '{query.sql}'.",
                hint="Its answer was too long for the journal. Read less in one query, or finish the revision by hand.",
            )
        return Answer.from_text(row.answer)

    def keep(self, connection: sa.Connection, ordinal: int, query: Statement, answer: Answer) -> None:
        """Notes an answer; durable with the next statement that is."""
        try:
            text = answer.as_text()
        except TypeError:
            text = ""
        connection.execute(
            self._table.insert().values(
                run_id=self._run_id,
                revision=self._revision,
                ordinal=ordinal,
                sha256=_digest(query),
                answer=text if 0 < len(text) <= LONGEST_ANSWER else None,
            )
        )

    def forget(self, connection: sa.Connection) -> None:
        """Drops the answers: the revision is applied."""
        connection.execute(self._table.delete().where(self._key()))

    def _key(self) -> sa.ColumnElement[bool]:
        return sa.and_(self._table.c.run_id == self._run_id, self._table.c.revision == self._revision)


def _digest(query: Statement) -> str:
    # Parameters are left out: a clock or a random number among them is no other question.
    return hashlib.sha256(query.sql.encode()).hexdigest()
