"""Agents and their tasks: a queue in SQL that loses nothing. Each method works in the caller's transaction.

An agent signs its row again and again; the tasks of one that has stopped doing so go back into the queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.serving.rows import keyed, plain
from chatctl.stores.sql.tables import LayoutTables

_CANDIDATES = 5
_TASK = (
    "id", "agent_id", "agent_type", "task_type", "status", "user_id", "task_data", "result", "error",
    "execution_seconds", "created_at", "started_at", "completed_at",
)  # fmt: skip


class AgentRows:
    """The rows of `agents`, `tasks` and `agent_metrics`."""

    def __init__(self, tables: LayoutTables) -> None:
        self._agents = tables["agents"]
        self._tasks = tables["tasks"]
        self._metrics = tables["agent_metrics"]

    # --- agents ---------------------------------------------------------------------------------------------

    def add_agents(self, connection: sa.Connection, agents: Sequence[tuple[str, str]], now: datetime) -> None:
        """Registers agents, each as (ID, type)."""
        times = {"status": "idle", "created_at": now, "updated_at": now, "accessed_at": now}
        rows = [{"id": agent, "agent_type": kind, **times} for agent, kind in agents]
        connection.execute(self._agents.insert(), rows)

    def sign(self, connection: sa.Connection, agents: Sequence[str], now: datetime) -> None:
        """Says that these agents are alive, those too that another process took for dead while they couldn't sign."""
        table = self._agents
        status = sa.case((table.c.terminated_at.is_(None), table.c.status), else_="idle")
        # The order counts: MariaDB assigns from left to right.
        signed = table.update().where(table.c.id.in_(agents)).ordered_values(
            (table.c.status, status), (table.c.terminated_at, None), (table.c.updated_at, now)
        )  # fmt: skip
        connection.execute(signed)

    def end(self, connection: sa.Connection, agents: Sequence[str], now: datetime) -> None:
        """Ends agents, and gives their unfinished tasks back to the queue."""
        if not agents:
            return
        table, tasks = self._agents, self._tasks
        values = {"status": "terminated", "terminated_at": now, "updated_at": now}
        connection.execute(table.update().where(table.c.id.in_(agents)).values(**values))
        unfinished = sa.and_(tasks.c.agent_id.in_(agents), tasks.c.status == "running")
        connection.execute(tasks.update().where(unfinished).values(status="queued", agent_id=None, started_at=None))

    def silent(self, connection: sa.Connection, since: datetime) -> list[str]:
        """The agents that have not signed since then and were not ended."""
        table = self._agents
        silent = sa.and_(table.c.terminated_at.is_(None), table.c.updated_at < since)
        return list(connection.scalars(sa.select(table.c.id).where(silent)))

    def counts(self, connection: sa.Connection) -> dict[str, int]:
        """How many living agents there are in each status."""
        table = self._agents
        query = (
            sa.select(table.c.status, sa.func.count()).where(table.c.terminated_at.is_(None)).group_by(table.c.status)
        )
        return {row[0]: int(row[1]) for row in connection.execute(query)}

    # --- tasks ----------------------------------------------------------------------------------------------

    def add_task(self, connection: sa.Connection, values: dict[str, Any]) -> None:
        """Puts a task into the queue."""
        connection.execute(self._tasks.insert().values(**values, status="queued"))

    def claim(self, connection: sa.Connection, agent: str, kind: str, now: datetime) -> dict[str, Any] | None:
        """The oldest task that waits for agents of that type, which is the agent's from now on.

        One that is running by this agent's own row waits too: the agent is idle, so its outcome couldn't be written.
        """
        table = self._tasks
        query = sa.select(*keyed(table, _TASK)).where(self._waiting(agent), table.c.agent_type == kind)
        query = query.order_by(table.c.created_at, table.c.id).limit(_CANDIDATES)
        for row in connection.execute(query).fetchall():
            own = table.update().where(table.c.id == row.id, self._waiting(agent))
            if connection.execute(own.values(status="running", agent_id=agent, started_at=now)).rowcount:
                self._set(connection, agent, "busy", now)
                return plain(row)
        return None

    def finish(self, connection: sa.Connection, agent: str, task: str, values: dict[str, Any], now: datetime) -> bool:
        """Ends a task with its result and counts it; False where it was cancelled or taken away meanwhile."""
        table = self._tasks
        own = table.update().where(table.c.id == task, table.c.agent_id == agent, table.c.status == "running")
        done = connection.execute(own.values(**values, completed_at=now)).rowcount > 0
        self._set(connection, agent, "idle", now)
        if done:
            figures = {"execution_seconds": values["execution_seconds"], values["status"]: 1.0}
            rows = [{"agent_id": agent, "name": n, "value": v, "recorded_at": now} for n, v in figures.items()]
            connection.execute(self._metrics.insert(), rows)
        return done

    def cancel(self, connection: sa.Connection, user: str, task: str, now: datetime) -> bool:
        """Cancels a user's task that isn't finished; False where there is none."""
        table = self._tasks
        open_ = sa.and_(table.c.id == task, table.c.user_id == user, table.c.status.in_(("queued", "running")))
        return connection.execute(table.update().where(open_).values(status="cancelled", completed_at=now)).rowcount > 0

    def task(self, connection: sa.Connection, user: str | None, task: str) -> dict[str, Any] | None:
        """One of the user's tasks; anybody's where `user` is None."""
        table = self._tasks
        own = [table.c.id == task] if user is None else [table.c.id == task, table.c.user_id == user]
        row = connection.execute(sa.select(*keyed(table, _TASK)).where(*own)).first()
        return plain(row) if row is not None else None

    def queued(self, connection: sa.Connection) -> int:
        """How many tasks wait."""
        table = self._tasks
        return connection.scalar(sa.select(sa.func.count()).where(table.c.status == "queued")) or 0

    def waits(self, connection: sa.Connection, agent: str) -> bool:
        """Whether there is something for an idle agent to do."""
        query = sa.select(sa.literal(1)).select_from(self._tasks).where(self._waiting(agent)).limit(1)
        return connection.scalar(query) is not None

    def settled(self, connection: sa.Connection, tasks: Sequence[str]) -> list[dict[str, Any]]:
        """Those of the tasks that are through, whoever carried them out."""
        table = self._tasks
        through = sa.and_(table.c.id.in_(tasks), table.c.status.not_in(("queued", "running")))
        return [plain(row) for row in connection.execute(sa.select(*keyed(table, _TASK)).where(through))]

    def _waiting(self, agent: str) -> sa.ColumnElement[bool]:
        table = self._tasks
        return sa.or_(table.c.status == "queued", sa.and_(table.c.status == "running", table.c.agent_id == agent))

    def _set(self, connection: sa.Connection, agent: str, status: str, now: datetime) -> None:
        table = self._agents
        change = table.update().where(table.c.id == agent, table.c.terminated_at.is_(None))
        connection.execute(change.values(status=status, updated_at=now, accessed_at=now))
