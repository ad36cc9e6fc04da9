"""Ways to break chatctl on purpose, for the negative controls of the fault tests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def without_journal() -> None:
    """Nothing that an earlier try noted is found again."""
    from chatctl.stores.sql.journal.statements import StatementLog

    StatementLog.get = lambda self, connection, revision, ordinal: None  # type: ignore[method-assign]  # the sabotage


def rows_apart_from_journal() -> None:
    """An import's rows are committed on their own, before the journal says so."""
    from chatctl.services.transfer.loading import RowLoader

    load = RowLoader.load

    def load_and_commit(self: Any, connection: Any, *rows: Any) -> Any:
        loaded = load(self, connection, *rows)
        connection.connection.dbapi_connection.commit()
        return loaded

    RowLoader.load = load_and_commit  # type: ignore[method-assign]  # the sabotage


def without_tokens() -> None:
    """A batch whose COMMIT got no answer counts as rolled back."""
    from chatctl.stores.sql.batches.ranges import Ranges

    Ranges.was_committed = lambda *_: False  # type: ignore[method-assign]  # the sabotage


def with_trace() -> None:
    """Nothing is broken: SQLite writes down what it runs."""
    from tests.support.statement_logs import TRACE_VARIABLE, trace_sqlite

    trace_sqlite(Path(os.environ[TRACE_VARIABLE]))


def with_every_commit() -> None:
    """Nothing is broken: each commit is a moment to be killed at, whoever makes it, and each new or dropped table."""
    from sqlalchemy.engine.default import DefaultDialect

    from chatctl.observe.fail_points import fail_point

    commit, execute = DefaultDialect.do_commit, DefaultDialect.do_execute

    def do_commit(self: Any, connection: Any) -> None:
        fail_point("commit.before")
        commit(self, connection)
        fail_point("commit.after")

    def do_execute(self: Any, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        execute(self, cursor, statement, parameters, context)
        # On MariaDB it has committed itself.
        if statement.lstrip().upper().startswith(("CREATE ", "DROP ")):
            fail_point("ddl.after")

    DefaultDialect.do_commit = do_commit  # type: ignore[method-assign]  # not chatctl's own
    DefaultDialect.do_execute = do_execute  # type: ignore[method-assign]
