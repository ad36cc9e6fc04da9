"""worker: the thirteen steps of its own test script, in their order."""

from __future__ import annotations

import secrets
from typing import Any

from chatctl.services.smoke.steps import Sender, Step, require, require_keys

_STATS = (
    "total_conversations",
    "oldest_conversation_age_days",
    "conversations_ready_to_purge",
    "retention_policy_days",
)
_PREFIX = "/conversations"


class _Script:
    def __init__(self, smoke: Sender) -> None:
        self._smoke = smoke
        self._account = smoke.user
        self._session = f"session-smoke-{secrets.token_hex(6)}"

    def _query(self, **more: Any) -> Any:
        body = self._smoke.send("POST", "/query", json={"query": "What is 2+2?", "accountId": self._account, **more})
        require(body.get("success") is True and "response" in body, "success and a response")
        return body

    def _listed(self, **params: int) -> Any:
        return self._smoke.send("GET", _PREFIX, params={"accountId": self._account, **params})

    def health(self) -> None:
        require(self._smoke.send("GET", "/health").get("status") == "healthy", "the status healthy")

    def query(self) -> None:
        require_keys(self._query(), "session_id")

    def explicit(self) -> None:
        require(self._query(session_id=self._session)["session_id"] == self._session, "the session that was sent")

    def stats(self) -> None:
        body = self._smoke.send("GET", "/storage-stats", params={"accountId": self._account})
        require_keys(body, *_STATS)
        require(body["total_conversations"] > 0, "conversations")

    def listing(self) -> None:
        require(any(row["session_id"] == self._session for row in self._listed()), "the session in the list")

    def get(self) -> None:
        require_keys(self._smoke.send("GET", f"{_PREFIX}/{self._session}"), "session_id", "messages")

    def delete(self) -> None:
        require(self._smoke.send("DELETE", f"{_PREFIX}/{self._session}") == {"success": True}, "success")

    def get_again(self) -> None:
        gone = self._smoke.send("GET", f"{_PREFIX}/{self._session}", (404, 200))
        require(gone == {"error": "Not found"}, "Not found")

    def purge(self) -> None:
        # It runs the retention policy, which takes longer than an answer may where it is done for the first time.
        require_keys(self._smoke.send("POST", "/purge", params={"accountId": self._account}), "deleted", "errors")

    def five(self) -> None:
        self._smoke.kept["five"] = [self._query()["session_id"] for _ in range(5)]

    def count(self) -> None:
        listed = {row["session_id"] for row in self._listed()}
        require(set(self._smoke.kept["five"]) <= listed, "the five sessions in the list")

    def pagination(self) -> None:
        first, second = self._listed(limit=2), self._listed(limit=2, offset=2)
        require(len(first) == 2 and len(second) == 2, "two pages of two")
        ids = {row["session_id"] for row in (*first, *second)}
        require(len(ids) == 4, "four different sessions")


def steps(smoke: Sender) -> list[Step]:
    """Everything that the system stores and forgets."""
    script = _Script(smoke)
    return [
        Step("health", script.health),
        Step("query", script.query),
        Step("query with a session", script.explicit),
        Step("stats", script.stats),
        Step("list", script.listing),
        Step("get", script.get),
        Step("delete", script.delete),
        Step("get again", script.get_again),
        Step("purge", script.purge),
        Step("stats again", script.stats),
        Step("five queries", script.five),
        Step("count", script.count),
        Step("pagination", script.pagination),
    ]
