"""Finds out what revisions send: their own code runs, and each statement is kept.

In a scratch copy of the schema writes run too, so that a revision sees what an earlier one has made, and are measured;
without one they are left out. What an earlier try of a half-applied revision has read is read again from the
journal.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, Literal

import sqlalchemy as sa

from chatctl.services.migrate.settling import has_begun
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.sql.answers import Answer
from chatctl.stores.sql.dialects.measuring import Gauge, Measurement
from chatctl.stores.sql.dialects.scratch import Scratch
from chatctl.stores.sql.inspection import OWN_PREFIX, Snapshot
from chatctl.stores.sql.journal import Run
from chatctl.stores.sql.journal.reads import ReadLog, place_of_change
from chatctl.stores.sql.journal.statements import StatementLog
from chatctl.stores.sql.revisions import Direction, Revision
from chatctl.stores.sql.statements import Statement, Watch, commits_by_itself


@dataclass(frozen=True)
class RecordedStatement:
    """One statement, what it does where that was measured, the line that sent it, and whether it runs on its own."""

    statement: Statement
    measured: Measurement | None = None
    line: int | None = None
    commits_by_itself: bool = False


@dataclass(frozen=True)
class RecordedRevision:
    """What one revision has sent, and whether it looked at rows, so that other rows would make it send others."""

    revision: Revision
    statements: tuple[RecordedStatement, ...]
    depends_on_rows: bool


@dataclass(frozen=True)
class Recording:
    """What revisions send, the paths (`chats`, `messages.chatId`) that they drop, and why nothing was measured."""

    revisions: tuple[RecordedRevision, ...]
    lost: tuple[str, ...]
    unmeasured: str | None = None


#: Whether a scratch copy of the schema is made: to measure in, or only where revisions can't be read without one.
Scratching = Literal["never", "if needed", "to measure"]


@dataclass(frozen=True)
class Request:
    """What is to be recorded, and how; `unfinished` is the run that left one of the revisions half applied."""

    revisions: Sequence[Revision]
    direction: Direction
    unfinished: Run | None = None
    scratching: Scratching = "never"


def record(target: MigrationTarget, connection: sa.Connection, request: Request) -> Recording:
    """Runs the revisions in order and keeps what they send.

    Where no scratch copy can be made to measure in, or a revision can't run in one, nothing is measured. A project's
    revisions may look at what they have just made, or go by what the server refuses, so they need a copy.
    """
    needs = request.scratching == "to measure" or (request.scratching == "if needed" and target.connects_itself)
    if not needs or not request.revisions:
        return _unmeasured(target, connection, request)
    try:
        return _measured(target, connection, request)
    # The revision's own code may raise anything where tables have no rows.
    except Exception as problem:
        connection.rollback()
        return replace(_unmeasured(target, connection, request), unmeasured=str(problem).strip().splitlines()[0])


def _measured(target: MigrationTarget, connection: sa.Connection, request: Request) -> Recording:
    dialect = target.database.dialect
    with target.database.translating(), dialect.scratch_copy(connection) as scratch:
        return _record_in(target, connection, scratch, request, dialect.gauge())


def _unmeasured(target: MigrationTarget, connection: sa.Connection, request: Request) -> Recording:
    dialect = target.database.dialect
    # A project connects by itself, which nobody can do to a copy in memory.
    makes = dialect.scratch_copy if target.connects_itself and dialect.in_process else dialect.scratch
    try:
        with target.database.translating(), makes(connection) as scratch:
            return _record_in(target, connection, scratch, request, None)
    # A revision that looks at what an earlier one has made: that takes a copy where they really run.
    except Exception:
        if request.scratching != "if needed":
            raise
        connection.rollback()
        return _measured(target, connection, request)


def _record_in(
    target: MigrationTarget, connection: sa.Connection, scratch: Scratch, request: Request, gauge: Gauge | None
) -> Recording:
    before = target.snapshot(connection)
    recorded = []
    for revision in request.revisions:
        recorder = _Recorder(scratch, gauge, _Earlier(target, connection, request.unfinished, revision), revision.path)
        with Watch(_watched(target, scratch), recorder).listening() as watch:
            target.revisions.rehearse(scratch.connection, revision, request.direction, watch, scratch.url)
        recorded.append(_recorded(revision, recorder))
    sent = [item.statement for revision in recorded for item in revision.statements]
    if scratch.executes:
        gone = set(_data_paths(before)) - set(_data_paths(target.snapshot(scratch.connection)))
        lost = {path for path in gone if not any(_renames(statement, path) for statement in sent)}
    else:
        lost = {path for path in _data_paths(before) if any(_drops(statement, path) for statement in sent)}
    kept = sorted(path for path in lost if path.partition(".")[0] == path or path.partition(".")[0] not in lost)
    return Recording(tuple(recorded), tuple(kept))


def run_in(target: MigrationTarget, scratch: Scratch, revision: Revision, direction: Direction) -> None:
    """Runs one revision in a scratch copy, and moves no version table."""
    # A gauge knows how each statement runs in a copy without waiting for anybody.
    earlier = _Earlier(target, scratch.connection, None, revision)
    recorder = _Recorder(scratch, target.database.dialect.gauge(), earlier, revision.path)
    with Watch(_watched(target, scratch), recorder).listening() as watch:
        target.revisions.rehearse(scratch.connection, revision, direction, watch, scratch.url)


def _watched(target: MigrationTarget, scratch: Scratch) -> sa.Engine | type[sa.Engine]:
    return scratch.connection.engine if isinstance(target.watched, sa.Engine) else target.watched


class _Recorder:
    """Keeps every write (a `Handler`); runs and measures it too where the scratch copy is there for that."""

    def __init__(self, scratch: Scratch, gauge: Gauge | None, earlier: _Earlier, file: str) -> None:
        self._scratch = scratch
        self._file = file
        self._gauge = gauge
        self._earlier = earlier
        self.statements: list[RecordedStatement] = []
        self.reads: list[Statement] = []

    def write(self, statement: Statement, cursor: Any, connection: sa.Connection) -> bool | Answer:
        """Keeps the statement, and deals with it; the rows that it is to change aren't there."""
        answer = self._earlier.change(statement, len(self.statements))
        kept = RecordedStatement(statement, None, _line_in(self._file), commits_by_itself(connection))
        if self._scratch.executes and not self._earlier.has_run(statement, len(self.statements)):
            self._scratch.require_inside(cursor)
            runnable = Statement(self._scratch.contained(statement.sql), statement.parameters)
            try:
                kept = replace(kept, measured=self._run(runnable, cursor, connection))
            finally:
                # What the server refuses was sent all the same, and the revision may go on.
                self.statements.append(kept)
        else:
            self.statements.append(kept)
        return answer or self._earlier.as_if_found(statement, cursor)

    def _run(self, statement: Statement, cursor: Any, connection: sa.Connection) -> Measurement | None:
        if self._gauge is not None:
            return self._gauge.run(statement, cursor, connection)
        statement.execute(cursor)
        return None

    def read(self, query: Statement, cursor: Any, connection: sa.Connection) -> Answer | None:
        """Keeps the query, and answers as before where it was asked before."""
        self.reads.append(query)
        return self._earlier(query)


def _line_in(file: str) -> int | None:
    """The line of that file which is being run, if one is."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and not frame.f_code.co_filename.endswith(f"{os.sep}{file}"):
        frame = frame.f_back
    return frame.f_lineno if frame is not None else None


class _Earlier:
    """What the journal knows of a half-applied revision: what it was told, and which statements have run."""

    def __init__(
        self, target: MigrationTarget, connection: sa.Connection, unfinished: Run | None, revision: Revision
    ) -> None:
        self._connection = connection
        self._target = target
        self._revision = revision
        self._reads = ReadLog(target.journal.tables, unfinished.id, revision.id) if unfinished else None
        self._statements = StatementLog(target.journal.tables, unfinished.id) if unfinished else None
        self._asked = 0

    def __call__(self, query: Statement) -> Answer | None:
        """What the query was answered the first time, if it was asked before."""
        self._asked += 1
        return self._reads.get(self._connection, self._asked, query) if self._reads else None

    def change(self, statement: Statement, ordinal: int) -> Answer | None:
        """What a statement that changes rows was answered the first time, if it was sent before."""
        if self._reads is None or not statement.changes_rows_only:
            return None
        return self._reads.get(self._connection, place_of_change(ordinal), statement)

    def as_if_found(self, statement: Statement, cursor: Any) -> Answer | bool:
        """The cursor's answer, as if the rows had been there: a revision may go by the rows that it was told of."""
        if self._reads is None or not statement.changes_rows_only:
            return True
        many = len(statement.parameters) if isinstance(statement.parameters, list) else 1
        return replace(Answer.of_change(cursor), changed=many)

    def has_run(self, statement: Statement, ordinal: int) -> bool:
        """Whether the schema that was copied has the statement's effect already."""
        if self._statements is None:
            return False
        entry = self._statements.get(self._connection, self._revision.id, ordinal)
        if entry is None or entry.done:
            return entry is not None
        return not statement.changes_rows_only and has_begun(entry, self._target.snapshot(self._connection), statement)


def _recorded(revision: Revision, recorder: _Recorder) -> RecordedRevision:
    looked = {
        table
        for query in recorder.reads
        if not query.reads_catalogue
        for table in _FROM.findall(query.sql)
        if not table.startswith(OWN_PREFIX)
    }
    return RecordedRevision(revision, tuple(recorder.statements), bool(looked))


_FROM = re.compile(r"\b(?:FROM|JOIN)\s+[`\"]?(\w+)", re.IGNORECASE)


def _data_paths(snapshot: Snapshot) -> list[str]:
    tables = {path for path, text in snapshot.items() if text == "table"}
    return [path for path in snapshot if path in tables or path.partition(".")[0] in tables]


def _drops(statement: Statement, path: str) -> bool:
    table, _, column = path.partition(".")
    if not statement.names(table):
        return False
    pattern = rf"DROP COLUMN\s+[`\"]?{re.escape(column)}(?![\w$])" if column else r"\s*DROP TABLE\b"
    return re.search(pattern, statement.sql, re.IGNORECASE) is not None


def _renames(statement: Statement, path: str) -> bool:
    """Whether the statement gives what is at `path` another name, so that nothing of it goes."""
    table, _, column = path.partition(".")
    if not statement.names(table):
        return False
    name = rf"[`\"]?{re.escape(column)}(?![\w$])"
    by_column = rf"(?:\bRENAME\s+(?:COLUMN\s+)?{name}\s+TO\b|\bCHANGE\s+(?:COLUMN\s+)?{name})"
    by_table = r"\bRENAME\s+(?:TO|AS)\b|^\s*RENAME\s+TABLE\b"
    return re.search(f"{by_column}|{by_table}" if column else by_table, statement.sql, re.IGNORECASE) is not None
