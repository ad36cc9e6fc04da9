"""The states of circuit breakers, in SQL: every process that serves sees the same ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from chatctl.errors import ChatctlError, RepeatedKeyError
from chatctl.stores.sql.serving.gateway import Gateway
from chatctl.stores.sql.serving.rows import keyed, plain
from chatctl.stores.sql.tables import LayoutTables

_KEYS = ("name", "state", "failure_count", "last_failure_at", "next_attempt_at", "created_at", "updated_at")


class BreakerRows:
    """The rows of `breakers`. While SQL gives no answer, what was seen last counts."""

    def __init__(self, gateway: Gateway, tables: LayoutTables) -> None:
        self._gateway = gateway
        self._table = tables["breakers"]
        self._seen: dict[str, dict[str, Any]] = {}

    def all(self) -> list[dict[str, Any]]:
        """Every breaker, by name."""
        query = sa.select(*keyed(self._table, _KEYS)).order_by(self._table.c.name)
        return self._gateway.read(lambda connection: [plain(row) for row in connection.execute(query)])

    def get(self, name: str) -> dict[str, Any]:
        """One breaker; a closed one where it has no row."""
        query = sa.select(*keyed(self._table, _KEYS)).where(self._table.c.name == name)
        try:
            row = self._gateway.read(lambda connection: connection.execute(query).first())
        except ChatctlError:
            return self._seen.get(name) or _closed(name)
        self._seen[name] = plain(row) if row is not None else _closed(name)
        return self._seen[name]

    def set(self, name: str, **values: Any) -> None:
        """Changes a breaker, and makes its row where there is none."""
        now = datetime.now(UTC)
        self._seen[name] = {**self.get(name), **values}
        change = self._table.update().where(self._table.c.name == name).values(**values, updated_at=now)
        whole = {**_closed(name), **values, "created_at": now, "updated_at": now}

        def work(connection: sa.Connection) -> None:
            if connection.execute(change).rowcount == 0:
                connection.execute(self._table.insert().values(**whole))

        try:
            self._gateway.write(work)
        except RepeatedKeyError:
            self._gateway.write(work)
        except ChatctlError:
            return

    def count_failure(self, name: str) -> None:
        """Adds one to the failures in a row."""
        now = datetime.now(UTC)
        if self.get(name)["created_at"] is None:
            self.set(name)
        counted = self._table.update().where(self._table.c.name == name)
        counted = counted.values(failure_count=self._table.c.failure_count + 1, last_failure_at=now, updated_at=now)
        self._seen[name] = {**self._seen[name], "failure_count": self._seen[name]["failure_count"] + 1}
        try:
            self._gateway.write(lambda connection: connection.execute(counted) and None)
        except ChatctlError:
            return


def next_attempt(opened_at: datetime, reset_seconds: float) -> datetime:
    """When a breaker that opened then lets a call through again."""
    return opened_at + timedelta(seconds=reset_seconds)


def _closed(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "state": "CLOSED",
        "failure_count": 0,
        "last_failure_at": None,
        "next_attempt_at": None,
        "created_at": None,
        "updated_at": None,
    }
