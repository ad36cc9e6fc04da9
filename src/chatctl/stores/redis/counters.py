"""Counters in Redis: creating sessions by them, taking them over, raising them, reading them all.

When each of it is done is decided in `chatctl.services.counters`; here nothing is retried but a failover.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from chatctl.domain.counters import Answer, Attempt, CounterReading, Draft, Raised
from chatctl.domain.session_ids import Month, Scope
from chatctl.errors import InvalidIdError
from chatctl.stores.redis.client import Client, RedisServers
from chatctl.stores.redis.keys import REQUEST, Keys, escape_glob, numbered
from chatctl.stores.redis.scripts import run

#: How long the answer to a request is remembered, so that asking again creates no second session.
REQUEST_SECONDS = 300

_MARK = "\0"
_SCAN_COUNT = 1_000
_PIPELINE = 500


class RedisCounters:
    """The counters behind `servers`, under the names that `keys` gives them."""

    def __init__(self, servers: RedisServers, keys: Keys) -> None:
        self._servers = servers
        self._keys = keys

    def create(self, draft: Draft) -> Attempt:
        """Tries once to create the session `draft`. Repeating it with the same request creates nothing more."""
        scope = draft.scope
        keys = [
            self._keys.counter(scope).name,
            self._keys.guard(scope).name,
            self._keys.own(REQUEST, scope.name, request=draft.request).name,
        ]
        answer = self._run("create", keys, [*self._frame(scope), *self._record(draft), *self._indexes(draft)])
        if answer[0] in ("created", "repeated"):
            return Attempt(Answer.CREATED, int(answer[1]), answer[2])
        kind = Answer(answer[0])
        return Attempt(kind, int(answer[1]) if kind is Answer.TAKEN else 0, obstacle=str((*answer, "")[1]))

    def counted(self, scope: Scope, fence: str) -> int | None:
        """The highest number counted under `fence`, None where it doesn't stand in this life of the server."""
        number = self._run("standing", [self._keys.guard(scope).name], [self._db(), fence])
        return int(number) if number else None

    def take_over(self, scope: Scope, fence: str, issued: int) -> int | None:
        """Puts `fence` up, above `issued`, the counter and the guard; the highest of them, None if unreadable."""
        keys = [self._keys.counter(scope).name, self._keys.guard(scope).name]
        answer = self._run("fence", keys, [self._db(), fence, str(issued)])
        return int(answer[1]) if answer[0] == "fenced" else None

    def raise_to(self, scope: Scope, number: int, *, replace_invalid: bool = False) -> Raised | None:
        """Raises the counter to `number` unless it is there already; None where its value is no count.

        A time limit on the counter is taken off. With `replace_invalid` a text that is no count is replaced.
        """
        keys = [self._keys.counter(scope).name, self._keys.guard(scope).name]
        answer = self._run("raise", keys, [self._db(), str(number), "1" if replace_invalid else "0"])
        if answer[0] == "invalid":
            return None
        if answer[0] == "kept":
            return Raised(answer[1], answer[1], changed=False)
        return Raised(answer[1] or None, answer[2], changed=True)

    def read(self, scopes: Sequence[Scope]) -> Iterator[CounterReading]:
        """The counters of `scopes`, in their order, there or not."""
        for start in range(0, len(scopes), _PIPELINE):
            part = scopes[start : start + _PIPELINE]
            yield from self._servers.attempt(partial(self._read, part))

    def scopes(self) -> Iterator[Scope]:
        """The scopes that have a counter, in no order; found by SCAN."""
        for family in ("counter_general", "counter_project"):
            pattern = self._keys.pattern(family)
            for name in self._scan(self._keys.db(family), pattern):
                scope = self._scope_of(family, name)
                if scope is not None:
                    yield scope

    def strangers(self) -> Iterator[str]:
        """Keys that are named like counters, but for no month and no project that an ID can hold."""
        for family in ("counter_general", "counter_project"):
            for name in self._scan(self._keys.db(family), self._keys.pattern(family)):
                if self._scope_of(family, name) is None:
                    yield name

    def highest_in_redis(self, scope: Scope) -> int:
        """The highest number of `scope` that a record or a history in Redis bears; 0 where there is none."""
        highest = 0
        for family in ("chat_metadata", "chat_history"):
            pattern = self._keys.pattern(family, chat=f"{escape_glob(scope.prefix)}*")
            for name in self._scan(self._keys.db(family), pattern):
                found = self._keys.parse(family, name)
                session = numbered(found["chat"]) if found else None
                if session is not None and session.scope == scope:
                    highest = max(highest, session.number)
        return highest

    def _client(self) -> Client:
        return self._servers.client(self._keys.db("counter_general"))

    def _run(self, script: str, keys: list[str], arguments: list[str | int]) -> Any:
        return self._servers.attempt(lambda: run(self._client(), script, keys, arguments))

    def _db(self, family: str = "counter_general") -> str:
        """The number that scripts SELECT, or -1 where there is nothing to select."""
        return "-1" if self._keys.clustered else str(self._keys.db(family))

    def _frame(self, scope: Scope) -> list[str | int]:
        """Both databases, the keys of record and history around the ID, and what the ID begins with."""
        parts: list[str | int] = [self._db(), self._db("chat_metadata")]
        for family in ("chat_metadata", "chat_history"):
            parts += self._keys.place(family, scope.name, chat=_MARK).name.split(_MARK)
        return [*parts, scope.prefix]

    def _record(self, draft: Draft) -> list[str | int]:
        text = json.dumps({"chat_id": _MARK, **draft.record}, ensure_ascii=False)
        before, _, after = text.partition(json.dumps(_MARK)[1:-1])
        return [before, after, REQUEST_SECONDS]

    def _indexes(self, draft: Draft) -> list[str | int]:
        scope = draft.scope
        families = index_families(scope.project)
        return [self._keys.index(family, scope.name, draft.user, scope.project).name for family in families]

    def _read(self, scopes: Sequence[Scope]) -> list[CounterReading]:
        places = [self._keys.counter(scope).name for scope in scopes]
        with self._client().pipeline(transaction=False) as pipeline:
            for scope, name in zip(scopes, places, strict=True):
                pipeline.type(name)
                pipeline.get(name)
                pipeline.pttl(name)
                pipeline.hget(self._keys.guard(scope).name, "last")
            # The value of a key of another type is an error of its own, not of the whole pipeline.
            answers = pipeline.execute(raise_on_error=False)
        return [
            _reading(scope, name, answers[4 * position : 4 * position + 4])
            for position, (scope, name) in enumerate(zip(scopes, places, strict=True))
        ]

    def _scan(self, db: int, pattern: str) -> Iterator[str]:
        with self._servers.translating():
            yield from self._servers.client(db).scan_iter(match=pattern, count=_SCAN_COUNT)

    def _scope_of(self, family: str, name: str) -> Scope | None:
        found = self._keys.parse(family, name)
        if found is None:
            return None
        try:
            if family == "counter_general":
                return Scope.general(Month.parse(found["month"]))
            return Scope.of_project(found["project"])
        except InvalidIdError:
            return None


def index_families(project: str | None) -> tuple[str, str]:
    """The families of a user's indexes that a session stands in: one of `project`, or a general one."""
    return ("user_chats_project" if project else "user_chats_general", "user_chats_all")


def _reading(scope: Scope, name: str, answers: Sequence[Any]) -> CounterReading:
    kind, value, ttl_ms, guarded = answers
    for answer in (kind, ttl_ms):
        if isinstance(answer, Exception):
            raise answer
    return CounterReading(
        scope,
        name,
        value if isinstance(value, str) else None,
        str(kind),
        ttl_ms / 1000 if ttl_ms >= 0 else None,
        int(guarded) if isinstance(guarded, str) and guarded.isdecimal() else None,
    )
