"""One revision's statements on their way to the database: as planned, journaled, and never twice.

Where DDL rolls back, a revision and its place in the version table commit together. Where it doesn't (MySQL and
MariaDB, or an index built concurrently), each DDL statement is journaled as intended before it runs and as done after
it, and rows commit with the journal's word on them. A rerun leaves out what is done, and settles what was only
intended by looking at the schema. What the revision read the first time it is told again, so that its Python code goes
the same way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa

from chatctl.errors import ConnectionLostError, StalePlanError
from chatctl.observe.fail_points import fail_point
from chatctl.services.migrate.attendance import Attendance
from chatctl.services.migrate.planning import PlannedRevision
from chatctl.services.migrate.settling import has_begun, touched
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.sql.answers import Answer
from chatctl.stores.sql.dialects.gentle import Half, send
from chatctl.stores.sql.journal import Run
from chatctl.stores.sql.journal.reads import ReadLog, place_of_change
from chatctl.stores.sql.journal.statements import LoggedStatement, StatementLog
from chatctl.stores.sql.locks import RunLock
from chatctl.stores.sql.statements import Statement, commits_by_itself


class JournaledRevision:
    """Runs the statements of one revision (a `Handler`), and leaves out what an earlier try did."""

    def __init__(
        self, target: MigrationTarget, run: Run, step: PlannedRevision, lock: RunLock, attendance: Attendance
    ) -> None:
        self._target = target
        self._dialect = target.database.dialect
        self._step = step
        self._lock = lock
        self._gentleness = attendance.gentleness
        self._note = attendance.progress.note
        self._log = StatementLog(target.journal.tables, run.id)
        self._reads = ReadLog(target.journal.tables, run.id, step.revision.id)
        self._sent = 0
        self._asked = 0
        self._planned = 0

    def read(self, query: Statement, cursor: Any, connection: sa.Connection) -> Answer | None:
        """The answer of the first time, or the database's, which is kept."""
        self._asked += 1
        answer = self._reads.get(connection, self._asked, query)
        if answer is None:
            answer = self._ask(query, cursor, connection)
            if answer is not None:
                self._reads.keep(connection, self._asked, query, answer)
        return answer

    def _ask(self, query: Statement, cursor: Any, connection: sa.Connection) -> Answer | None:
        try:
            query.execute(cursor)
        except connection.dialect.loaded_dbapi.Error as problem:
            if self._dialect.transactional_ddl:
                # The transaction is over, and with it what came of this try.
                raise
            return Answer.of_error(problem)
        return Answer.of(cursor)

    def write(self, statement: Statement, cursor: Any, connection: sa.Connection) -> bool | Answer:
        """Runs the statement unless an earlier try did, and answers as the first time: nobody else shall run it."""
        self._check_planned(statement)
        try:
            if statement.is_session_setting:
                statement.execute(cursor)
                return True
            self._lock.uses(connection)
            self._lock.check(connection)
            return self._run_once(statement, cursor, connection)
        finally:
            # A revision may go on after a statement that the server has refused.
            self._sent += 1

    @property
    def sent(self) -> int:
        """How many statements the revision has sent, those of earlier tries among them."""
        return self._sent

    def check_complete(self) -> None:
        """Raises StalePlanError where the revision sent fewer statements than the plan shows."""
        missing = [item for item in self._step.statements[self._planned :] if not self._may_vary(item.statement)]
        if missing:
            raise StalePlanError(f"{self._step.revision.id} has ended without what the plan shows: {missing[0].sql}.")

    def _may_vary(self, statement: Statement) -> bool:
        """Whether it depends on rows that the plan couldn't see."""
        return self._step.depends_on_rows and statement.changes_rows_only

    def _check_planned(self, statement: Statement) -> None:
        planned = self._step.statements
        place = self._planned
        if self._step.depends_on_rows:
            if statement.changes_rows_only:
                return
            while place < len(planned) and planned[place].statement.changes_rows_only:
                place += 1
        if place >= len(planned) or not _same(planned[place].statement, statement):
            expected = planned[place].sql if place < len(planned) else "no further statement"
            raise StalePlanError(
                f"{self._step.revision.id} is about to send what the plan doesn't show: {statement.sql}"
                f" (planned: {expected})."
            )
        self._planned = place + 1

    def _run_once(self, statement: Statement, cursor: Any, connection: sa.Connection) -> bool | Answer:
        revision, ordinal = self._step.revision.id, self._sent
        entry = self._entry(statement, connection)
        self._repair(self._dialect.manners.leftover(statement.sql), "is begun anew", statement, cursor, connection)
        if entry is not None and self._is_settled(entry, statement, cursor, connection):
            return self._reads.get(connection, place_of_change(ordinal), statement) or True
        rolls_back = self._dialect.rolls_back_ddl(connection) or statement.changes_rows_only
        if not rolls_back:
            schema = touched(self._target.snapshot(connection), statement)
            self._log.intend(connection, revision, ordinal, statement.sql, _digest(statement), schema)
            self._commit(connection)
        with _one_transaction(cursor) if rolls_back and commits_by_itself(connection) else nullcontext():
            fail_point("statement.before")
            try:
                self._execute(statement, cursor, begun_before=entry is not None)
            except connection.dialect.loaded_dbapi.Error as problem:
                if not rolls_back:
                    self._forget(problem, connection)
                raise
            fail_point("statement.after")
            answer = self._change(statement, cursor, connection)
            self._log.done(connection, revision, ordinal, statement.sql, _digest(statement))
        if not rolls_back:
            self._commit(connection)
        fail_point("statement.journaled")
        return answer or True

    def _change(self, statement: Statement, cursor: Any, connection: sa.Connection) -> Answer | None:
        """What a statement that has changed rows answers, which is kept."""
        if not statement.changes_rows_only:
            return None
        answer = Answer.of_change(cursor)
        self._reads.keep(connection, place_of_change(self._sent), statement, answer)
        return answer

    def _forget(self, problem: BaseException, connection: sa.Connection) -> None:
        """A statement that the server has refused has no effect: run again, it shall be refused again."""
        if issubclass(self._dialect.classify(problem), ConnectionLostError):
            return
        self._log.forget(connection, self._step.revision.id, self._sent)
        self._commit(connection)

    def _execute(self, statement: Statement, cursor: Any, *, begun_before: bool) -> None:
        manners = self._dialect.manners
        send(cursor, manners.before(statement.sql, self._gentleness))
        try:
            statement.execute(cursor)
        except Exception as problem:
            # The server may have gone on with it when its client was killed, or the schema's picture doesn't show it.
            if begun_before and manners.has_effect(problem):
                return
            refusal = manners.refusal(problem, statement.sql)
            if refusal is not None:
                raise refusal from problem
            raise

    def _repair(
        self, half: Half | None, becomes: str, statement: Statement, cursor: Any, connection: sa.Connection
    ) -> None:
        """Finishes or takes back what the statement has left half done, and says so."""
        if half is None or not connection.execute(sa.text(half.query), half.parameters).first():
            return
        send(cursor, [*self._dialect.manners.before(half.repair, self._gentleness), half.repair])
        self._note(f"{self._step.revision.id}: {statement.sql} was half done, and {becomes}.")

    def _entry(self, statement: Statement, connection: sa.Connection) -> LoggedStatement | None:
        """What the journal says of the statement; raises StalePlanError where it was another one then."""
        entry = self._log.get(connection, self._step.revision.id, self._sent)
        if entry is not None and entry.sha256 != _digest(statement):
            raise StalePlanError(
                f"{self._step.revision.id} was changed since it was half applied: statement {self._sent + 1} was"
                f" '{entry.sql_text}' and is now '{statement.sql}'.",
                hint="Put the revision back as it was, and run the same command again.",
            )
        return entry

    def _is_settled(self, entry: LoggedStatement, statement: Statement, cursor: Any, connection: sa.Connection) -> bool:
        """Whether an earlier try has run the statement; looks at the schema where the journal can't tell."""
        if entry.done:
            return True
        if not has_begun(entry, self._target.snapshot(connection), statement):
            return False
        self._repair(self._dialect.manners.rest(statement.sql), "is finished", statement, cursor, connection)
        self._log.done(connection, self._step.revision.id, self._sent, statement.sql, _digest(statement))
        self._commit(connection)
        return True

    def _commit(self, connection: sa.Connection) -> None:
        # On the driver's level: the transaction is Alembic's, and it shall not notice.
        if connection.connection.dbapi_connection is not None:
            connection.connection.dbapi_connection.commit()


@contextmanager
def _one_transaction(cursor: Any) -> Iterator[None]:
    """Rows and what the journal says of them commit together, on a connection that would commit each by itself."""
    cursor.execute("BEGIN")
    try:
        yield
    except BaseException:
        cursor.execute("ROLLBACK")
        raise
    cursor.execute("COMMIT")


def _digest(statement: Statement) -> str:
    """Stands for a statement. Row values may hold a clock or a random number, and are another on each run."""
    parameters = None if statement.changes_rows_only else statement.parameters
    return hashlib.sha256(f"{statement.sql}\0{parameters!r}".encode()).hexdigest()


def _same(planned: Statement, sent: Statement) -> bool:
    return _digest(planned) == _digest(sent)
