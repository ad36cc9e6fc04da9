"""What Redis keys are called: a layout's templates, in logical databases or, on a cluster, behind prefixes.

A cluster has one database, so `chat:{chat}:metadata` of database 1 becomes `db1:{general:202512}:chat:…:metadata`:
a prefix in place of the number, and a hash tag that keeps everything one script touches in one slot. All sessions
of a scope (a month, a project) share their counter's slot, as do the users' indexes of that scope.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chatctl.domain.session_ids import LegacyId, Scope, SessionId, parse_session
from chatctl.errors import InvalidIdError, MissingEntityError
from chatctl.layouts.rules import RedisKey

#: What is chatctl's own, in the counters' database: never the application's, never backed up.
GUARD = "chatctl:guard:{scope}"
REQUEST = "chatctl:request:{request}"
USER_SCOPES = "chatctl:scopes:{user}"

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_CLUSTER_PREFIX = r"db(?P<db>[0-9]+):(?:\{(?P<tag>[^}]*)\}:)?"
_GLOB = re.compile(r"([*?\[\]\\^])")


@dataclass(frozen=True)
class Place:
    """One key: its database's number and its name there (on a cluster the number is 0)."""

    db: int
    name: str


@dataclass(frozen=True)
class Keys:
    """The keys of one layout on one arrangement of servers.

    `overrides` maps a layout's database number to the real one, where the URL or the settings give another.
    """

    templates: Mapping[str, RedisKey]
    clustered: bool = False
    overrides: Mapping[int, int] | None = None

    def template(self, family: str) -> RedisKey:
        """The template of `family`; raises MissingEntityError where the layout has none."""
        try:
            return self.templates[family]
        except KeyError:
            raise MissingEntityError(
                f"The layout declares no Redis key '{family}'.",
                hint="Sessions with numbered IDs need a layout with Redis keys, such as simorgh or native.",
            ) from None

    def db(self, family: str) -> int:
        """The number of the database that holds `family` (0 on a cluster)."""
        return 0 if self.clustered else self.logical_db(family)

    def ttl_seconds(self, family: str) -> int | None:
        """How long a key of `family` lives."""
        return self.template(family).ttl_seconds

    def place(self, family: str, tag: str, **values: str) -> Place:
        """The key of `family` with these placeholder values; `tag` decides its slot on a cluster."""
        name = _fill(self.template(family).key, values)
        return Place(self.db(family), self.prefix(family, tag) + name)

    def own(self, template: str, tag: str, **values: str) -> Place:
        """A key of chatctl's own, in the counters' database."""
        return Place(self.db("counter_general"), self.prefix("counter_general", tag) + _fill(template, values))

    def prefix(self, family: str, tag: str) -> str:
        """What stands before the layout's own name: nothing but on a cluster."""
        return f"db{self.logical_db(family)}:{{{tag}}}:" if self.clustered else ""

    def counter(self, scope: Scope) -> Place:
        """The counter of `scope`."""
        if scope.month:
            return self.place("counter_general", scope.name, month=str(scope.month))
        return self.place("counter_project", scope.name, project=scope.project or "")

    def guard(self, scope: Scope) -> Place:
        """What chatctl knows of the counter: who may count, and how far it has counted."""
        return self.own(GUARD, scope.name, scope=scope.name)

    def session(self, family: str, session: SessionId | LegacyId) -> Place:
        """The key of `family` that belongs to one session."""
        return self.place(family, tag_of(session), chat=str(session))

    def index(self, family: str, scope_name: str, user: str, project: str | None = None) -> Place:
        """A user's set of chats; on a cluster, of those in one scope."""
        return self.place(family, scope_name, user=user, project=project or "")

    def pattern(self, family: str, **values: str) -> str:
        """The SCAN pattern of `family`: a `*` for every placeholder that isn't given."""
        name = "".join(
            values.get(part, "*") if is_placeholder else _GLOB.sub(r"\\\1", part)
            for part, is_placeholder in _pieces(self.template(family).key)
        )
        return f"db{self.logical_db(family)}:*:{name}" if self.clustered else name

    def parse(self, family: str, name: str) -> dict[str, str] | None:
        """The placeholder values of a key's `name`, or None where it isn't of `family`."""
        match = self._expression(family).fullmatch(name)
        if match is None:
            return None
        found = match.groupdict()
        if self.clustered and int(found.pop("db")) != self.logical_db(family):
            return None
        found.pop("tag", None)
        return found

    def _expression(self, family: str) -> re.Pattern[str]:
        pieces = (
            f"(?P<{part}>.+)" if is_placeholder else re.escape(part)
            for part, is_placeholder in _pieces(self.template(family).key)
        )
        return re.compile((_CLUSTER_PREFIX if self.clustered else "") + "".join(pieces), re.DOTALL)

    def logical_db(self, family: str) -> int:
        """The number by which the database of `family` is known: its own, or the one in a cluster's prefix."""
        number = self.template(family).db
        return (self.overrides or {}).get(number, number)


def tag_of(session: SessionId | LegacyId) -> str:
    """What decides a session's slot: its scope's name, or an old session's own ID."""
    return session.scope.name if isinstance(session, SessionId) else session.text


def escape_glob(text: str) -> str:
    """`text` as a SCAN pattern that matches nothing else."""
    return _GLOB.sub(r"\\\1", text)


def numbered(text: str) -> SessionId | None:
    """The numbered session ID that `text` is, or None."""
    try:
        session = parse_session(text)
    except InvalidIdError:
        return None
    return session if isinstance(session, SessionId) else None


def _fill(template: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda match: values[match[1]], template)


def _pieces(template: str) -> list[tuple[str, bool]]:
    """The template cut into literal parts and placeholders' names."""
    parts = _PLACEHOLDER.split(template)
    return [(part, bool(position % 2)) for position, part in enumerate(parts) if part]
