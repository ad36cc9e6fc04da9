"""worker: questions and answers that are stored per account, and their retention."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.domain.prompts import Message
from chatctl.domain.result import Outcome
from chatctl.errors import AccessRefusedError, ChatctlError, NotFoundError, RepeatedKeyError
from chatctl.services.chatting.answering import Answering
from chatctl.services.purge import running
from chatctl.services.purge.target import PurgeRequest, PurgeTarget
from chatctl.stores.sql.serving.gateway import Gateway
from chatctl.stores.sql.serving.worker import WorkerRows

log = logging.getLogger(__name__)

MISSING = "Not found"
_HISTORY = 50
_FOREIGN = "The session belongs to another account."


class AccessClock:
    """Last accesses by reading, written together: a read costs no write of its own. A crash loses the last seconds."""

    def __init__(self, gateway: Gateway, rows: WorkerRows) -> None:
        self._gateway = gateway
        self._rows = rows
        self._lock = threading.Lock()
        self._seen: dict[str, datetime] = {}

    def saw(self, session: str, now: datetime) -> None:
        """Notes a read."""
        with self._lock:
            self._seen[session] = now

    def flush(self) -> None:
        """Writes what was noted; on an error it is noted still."""
        with self._lock:
            seen, self._seen = self._seen, {}
        if not seen:
            return
        try:
            self._gateway.write(lambda connection: self._rows.refresh(connection, seen))
        except ChatctlError:
            with self._lock:
                self._seen = {**seen, **self._seen}
            raise


class Worker:
    """What the worker system's endpoints do. `stores` says whether an account's conversations are kept."""

    def __init__(
        self,
        gateway: Gateway,
        rows: WorkerRows,
        answering: Answering,
        purge: Callable[[], PurgeTarget],
        stores: Callable[[str], bool] = lambda account: True,
    ) -> None:
        self._gateway = gateway
        self._rows = rows
        self._answering = answering
        self._purge = purge
        self._stores = stores
        self.clock = AccessClock(gateway, rows)

    def query(self, prompt: str, account: str, session: str | None) -> dict[str, Any]:
        """Answers, in the account's conversation `session` or a new one. An unknown session is created.

        Raises AccessRefusedError where the session is another account's. With storing off nothing is stored, and the
        answer names no session.
        """
        stored = self._stores(account)
        history: list[Message] = []
        if session is not None and stored:
            history = self._gateway.read(lambda connection: self._history(connection, account, session))
        answer = self._answering.reply(prompt, history)
        if not stored:
            return {"success": True, "response": answer.text}
        place = session or _new_session()
        self._store(account, place, (prompt, answer.text))
        return {"success": True, "response": answer.text, "session_id": place}

    def conversations(self, account: str, limit: int, offset: int) -> list[dict[str, Any]]:
        """A page of an account's conversations, newest access first."""
        found = self._gateway.read(lambda connection: self._rows.page(connection, account, limit, offset))
        return [_wire(row) for row in found]

    def conversation(self, account: str | None, session: str) -> dict[str, Any]:
        """A conversation with its messages; reading it counts as an access. Raises NotFoundError."""
        found = self._gateway.read(lambda connection: self._rows.get(connection, account, session))
        if found is None:
            raise NotFoundError(MISSING)
        now = datetime.now(UTC)
        self.clock.saw(session, now)
        messages = [
            {"id": item["id"], "role": item["role"], "content": item["content"], "timestamp": _ms(item["created_at"])}
            for item in found["messages"]
        ]
        return {**_wire({**found, "accessed_at": now}), "messages": messages}

    def delete(self, account: str | None, session: str) -> None:
        """Deletes a conversation; raises NotFoundError."""
        if not self._gateway.write(lambda connection: self._rows.delete(connection, account, session)):
            raise NotFoundError(MISSING)

    def stats(self, account: str | None) -> dict[str, Any]:
        """How much is stored and how much of it may go."""
        self.clock.flush()
        target = self._purge()
        now = datetime.now(UTC)
        policy = target.retention.policy_for(account=account)
        ready = target.database.dialect.older_than(self._rows.accessed_at, policy.cutoff(now))
        found = self._gateway.read(lambda connection: self._rows.stats(connection, account, ready))
        oldest = found["oldest"]
        return {
            "total_conversations": found["total"],
            "oldest_conversation_age_days": None if oldest is None else (now - oldest) / timedelta(days=1),
            "conversations_ready_to_purge": int(found["ready"]),
            "retention_policy_days": policy.retention_days,
        }

    def purge(self, account: str | None) -> dict[str, int]:
        """Runs the retention policy on an account, or on all. Raises LockedError while another purge runs."""
        self.clock.flush()
        attendance = running.Attendance(SilentProgress(), StopSignal())
        result = running.run(self._purge(), PurgeRequest(account=account), attendance)
        deleted = result.data["deleted_chats"]
        log.info("[Purge] Deleted %d conversations", deleted)
        return {"deleted": deleted, "errors": 0 if result.outcome is Outcome.DONE else 1}

    def _history(self, connection: Any, account: str, session: str) -> list[Message]:
        owner = self._rows.owner(connection, session)
        if owner is None:
            return []
        if owner != account:
            raise AccessRefusedError(_FOREIGN)
        return [Message(item["role"], item["content"]) for item in self._rows.history(connection, session, _HISTORY)]

    def _store(self, account: str, session: str, exchange: tuple[str, str]) -> None:
        now = datetime.now(UTC)

        def work(connection: Any) -> bool:
            return self._rows.add_exchange(connection, account, session, now, exchange)

        try:
            try:
                kept = self._gateway.write(work)
            except RepeatedKeyError:
                # Another request has just created the session.
                kept = self._gateway.write(work)
        except ChatctlError as problem:
            log.error("Storage Error: %s", problem.message)
            raise
        if not kept:
            raise AccessRefusedError(_FOREIGN)


def _new_session() -> str:
    return f"session_{int(datetime.now(UTC).timestamp() * 1000)}_{secrets.token_hex(6)}"


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _wire(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "session_id": row["id"],
        "account_id": row["account_id"],
        "created_at": _ms(row["created_at"]),
        "last_accessed_at": _ms(row["accessed_at"]),
        "metadata": row["metadata"],
    }
