"""Looks at every chat in Redis, by SCAN and small scripts that run where the keys are: never KEYS, never for long.

The server does the reading; what comes back is a few numbers a step, so that a million chats cost seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from chatctl.domain.session_ids import Scope
from chatctl.stores.redis.client import Client, RedisServers
from chatctl.stores.redis.keys import Keys, numbered
from chatctl.stores.redis.scripts import read

#: Keys and members that one script looks at: small enough to stay far below ten milliseconds.
KEYS_A_STEP = 500
MEMBERS_A_STEP = 500

_INDEX_FAMILIES = ("user_chats_all", "user_chats_general", "user_chats_project")
# A scope and the digits of a number, or any ID at all, in Lua's patterns.
_NUMBERED = "([GP]%-.+)%-(%d+)"
_ANY = "(.+)"
_LUA_SPECIAL = re.compile(r"([^0-9A-Za-z])")
_CLUSTER_PATTERN = "^db{db}:{{.-}}:(.*)$"


@dataclass
class Census:
    """What a look at every chat found."""

    records: int = 0
    #: Scope → the highest number that a record or a history bears.
    highest: dict[Scope, int] = field(default_factory=dict)
    #: Records whose own ID isn't the one in their key: (key, ID inside).
    misnamed: list[tuple[str, str]] = field(default_factory=list)
    #: Keys named like records that hold something else.
    foreign: list[str] = field(default_factory=list)
    #: Session → users in whose index it stands though its record names another or is gone.
    claims: dict[str, set[str]] = field(default_factory=dict)
    #: Session → the owner that its record names, for the sessions in `claims` (absent where there is no record).
    owners: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Index:
    """A user's index on its way through the scan; `prefix` is what a cluster puts before its records' keys."""

    key: str
    prefix: str
    user: str
    members: int
    cursor: str = "0"


def take_census(servers: RedisServers, keys: Keys) -> Census:
    """Looks at every chat, on every server that holds some."""
    census = Census()
    for client in servers.masters(keys.db("chat_metadata")):
        waiting: list[_Index] = []
        for indexes in _scan(servers, client, keys, census):
            waiting += indexes
            while sum(index.members for index in waiting) >= MEMBERS_A_STEP:
                waiting = _claims(servers, client, keys, waiting, census)
        while waiting:
            waiting = _claims(servers, client, keys, waiting, census)
    return census


def _scan(servers: RedisServers, client: Client, keys: Keys, census: Census) -> Iterator[list[_Index]]:
    arguments: list[str | int] = [KEYS_A_STEP, _cluster_pattern(keys)]
    arguments += [_lua_pattern(keys, "chat_metadata", _NUMBERED), _lua_pattern(keys, "chat_metadata", _ANY)]
    arguments += [_lua_pattern(keys, "chat_history", _NUMBERED)]
    arguments += [*(part for family in _INDEX_FAMILIES for part in _edges(keys, family))]
    cursor = "0"
    while True:
        step = servers.attempt(partial(read, client, "census", [], [cursor, *arguments]))
        cursor, highest, misnamed, foreign, indexes, records = step
        census.records += records
        census.misnamed += _pairs(misnamed)
        census.foreign += foreign
        for scope_text, digits in _pairs(highest):
            session = numbered(f"{scope_text}-{digits}")
            if session is not None:
                census.highest[session.scope] = max(session.number, census.highest.get(session.scope, 0))
        yield [index for key, members in _pairs(indexes) if (index := _index(keys, key, members))]
        if cursor == "0":
            return


def _claims(servers: RedisServers, client: Client, keys: Keys, waiting: list[_Index], census: Census) -> list[_Index]:
    """One step through as many of the indexes as a script may take; what is left of them."""
    taken, members = 0, 0
    while taken < len(waiting) and (taken == 0 or members + _first_step(waiting[taken]) <= MEMBERS_A_STEP):
        members += _first_step(waiting[taken])
        taken += 1
    now, later = waiting[:taken], waiting[taken:]
    arguments: list[str | int] = [MEMBERS_A_STEP, *_edges(keys, "chat_metadata")]
    arguments += [part for index in now for part in (index.key, index.prefix, index.user, index.cursor)]
    cursors, found = servers.attempt(partial(read, client, "claims", [], arguments))
    for position, session, owner in zip(found[::3], found[1::3], found[2::3], strict=True):
        census.claims.setdefault(session, set()).add(now[position].user)
        if owner:
            census.owners[session] = owner
    unfinished = [replace(index, cursor=cursor) for index, cursor in zip(now, cursors, strict=True) if cursor != "0"]
    return unfinished + later


def _first_step(index: _Index) -> int:
    """The members that a step looks at; an index costs something even where it is all but empty."""
    return min(index.members, MEMBERS_A_STEP) + 2


def _index(keys: Keys, key: str, members: int) -> _Index | None:
    user = user_of_index(keys, key)
    if user is None:
        return None
    prefix = re.match(r"db[0-9]+:\{[^}]*\}:", key) if keys.clustered else None
    return _Index(key, prefix[0] if prefix else "", user, members)


def user_of_index(keys: Keys, name: str) -> str | None:
    """The user whose index the key `name` is, or None where it is none."""
    for family in _INDEX_FAMILIES:
        found = keys.parse(family, name)
        if found is not None:
            return found["user"]
    return None


def _edges(keys: Keys, family: str) -> tuple[str, str]:
    """What stands before a key's first placeholder, and after it up to the next one or the end."""
    before, after = re.split(r"\{[a-z_]+\}", keys.template(family).key)[:2]
    return before, after


def _lua_pattern(keys: Keys, family: str, placeholder: str) -> str:
    """What a key of `family` looks like, in Lua's patterns, with that pattern in its placeholder's place."""
    before, after = (_LUA_SPECIAL.sub(r"%\1", part) for part in _edges(keys, family))
    return f"^{before}{placeholder}{after}$"


def _cluster_pattern(keys: Keys) -> str:
    if not keys.clustered:
        return ""
    return _CLUSTER_PATTERN.format(db=keys.logical_db("chat_metadata"))


def _pairs(flat: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
