"""The five systems over one database and one Redis: those of them that the layout's tables can serve."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from chatctl.domain.prompts import Answer
from chatctl.errors import MissingEntityError
from chatctl.services.breaking import Breaker, MemoryRows
from chatctl.services.chatting.agents import Agents, Publisher
from chatctl.services.chatting.answering import Answering, Model
from chatctl.services.chatting.mentor import Mentor
from chatctl.services.chatting.ray import Ray
from chatctl.services.chatting.simorgh import Sessions, Simorgh
from chatctl.services.chatting.worker import Worker
from chatctl.services.counters.issuing import Issuer
from chatctl.services.identity.accounts import Directory
from chatctl.services.identity.logins import Logins
from chatctl.services.identity.tokens import Tokens
from chatctl.services.permissions.probing import Prober
from chatctl.services.purge.target import PurgeTarget
from chatctl.services.sessions.reading import Archive
from chatctl.settings.serving import ModelSettings, ServeSettings
from chatctl.stores.sql.journal.tables import JournalTables
from chatctl.stores.sql.serving.accounts import Accounts
from chatctl.stores.sql.serving.agents import AgentRows
from chatctl.stores.sql.serving.breakers import BreakerRows
from chatctl.stores.sql.serving.gateway import Gateway, Reader
from chatctl.stores.sql.serving.mentor import MentorRows
from chatctl.stores.sql.serving.people import People
from chatctl.stores.sql.serving.ray import RayRows
from chatctl.stores.sql.serving.tokens import TokenRows
from chatctl.stores.sql.serving.worker import WorkerRows
from chatctl.stores.sql.tables import LayoutTables

NAMES = ("ray", "toolboxai", "mentor", "simorgh", "worker")
#: The layout whose users and mentors are chatctl's own to make; elsewhere they are the application's.
_OWN_LAYOUT = "native"


@dataclass(frozen=True)
class Numbered:
    """What simorgh's sessions need: Redis, what issues numbers, who decides about projects, and the archive."""

    sessions: Sessions
    issuer: Callable[[], Issuer]
    prober: Callable[[], Prober]
    archive: Callable[[], Archive | None]


@dataclass(frozen=True)
class Foundations:
    """What the systems stand on. `schema` is where chatctl's own tables are; `numbered` is None without Redis keys."""

    gateway: Gateway
    tables: LayoutTables
    schema: str | None
    serve: ServeSettings
    model_settings: ModelSettings
    model: Model
    tokens: Tokens
    purge: Callable[[], PurgeTarget]
    numbered: Numbered | None
    auth: bool = True


class Systems:
    """Each system's service, made when it is first asked for; raises MissingEntityError where it can't be."""

    def __init__(self, on: Foundations, publisher: Publisher, count: Callable[[Answer], None]) -> None:
        self._on = on
        self._publisher = publisher
        self._count = count

    def available(self, wanted: Iterable[str] = NAMES) -> list[str]:
        """Those of `wanted` that can be served."""
        return [name for name in wanted if self.why_not(name) is None]

    def why_not(self, name: str) -> MissingEntityError | None:
        """What is missing for a system, if anything."""
        try:
            getattr(self, name)
        except MissingEntityError as problem:
            return problem
        return None

    @cached_property
    def directory(self) -> Directory:
        """The accounts."""
        return directory(self._on.tables, self._on.gateway, self._on.schema)

    @cached_property
    def breaker_rows(self) -> BreakerRows | MemoryRows:
        """Where breakers keep their states."""
        return BreakerRows(self._on.gateway, self._on.tables) if "breakers" in self._on.tables else MemoryRows()

    @cached_property
    def answering(self) -> Answering:
        """The model."""
        breaker = Breaker("model", self.breaker_rows)
        return Answering(self._on.model, breaker, self._on.model_settings.history_tokens, self._count)

    @cached_property
    def mentor(self) -> Mentor:
        """mentor."""
        on = self._on
        for entity, column in (
            ("chats", "mentor_id"),
            ("chats", "is_active"),
            ("chats", "updated_at"),
            ("mentors", "id"),
        ):
            on.tables.column(entity, column)
        on.tables.column("messages", "chat_id")
        rows = MentorRows(on.tables, on.schema)
        return Mentor(on.gateway, rows, self.answering, makes_users=self._own, makes_mentors=self._own and not on.auth)

    @cached_property
    def worker(self) -> Worker:
        """worker."""
        on, rows = self._on, WorkerRows(self._on.tables)
        return Worker(on.gateway, rows, self.answering, on.purge, self._stores)

    @cached_property
    def ray(self) -> Ray:
        """ray."""
        return Ray(self._on.gateway, RayRows(self._on.tables), self.answering)

    @cached_property
    def simorgh(self) -> Simorgh:
        """simorgh."""
        numbered = self._on.numbered
        if numbered is None:
            raise MissingEntityError(f"The layout '{self._on.tables.layout.name}' keeps nothing in Redis.")
        return Simorgh(numbered.sessions, numbered.issuer, numbered.prober, self.answering.title, numbered.archive)

    @cached_property
    def logins(self) -> Logins:
        """toolboxai's logins."""
        on, serve = self._on, self._on.serve
        access, refresh = timedelta(minutes=serve.access_minutes), timedelta(days=serve.refresh_days)
        return Logins(on.gateway, TokenRows(on.tables), self.directory, on.tokens, access, refresh)

    @cached_property
    def toolboxai(self) -> Agents:
        """toolboxai's agents."""
        for entity in ("sessions", "agents", "tasks", "agent_metrics", "breakers"):
            self._on.tables[entity]
        self.logins.is_alive("")
        rows = AgentRows(self._on.tables)
        return Agents(self._on.gateway, rows, self.answering, self._publisher, self._on.serve.max_generations)

    def run_figures(self) -> list[tuple[str, str, int, float | None]]:
        """The journal's runs: (kind, status, how many, the last one's end in seconds since 1970)."""
        table = JournalTables(self._on.schema).runs
        ended = sa.func.max(table.c.finished_ms)
        query = sa.select(table.c.kind, table.c.status, sa.func.count(), ended).group_by(table.c.kind, table.c.status)

        def read(connection: Any) -> list[tuple[str, str, int, float | None]]:
            return [
                (kind, status, n, end / 1000 if end else None) for kind, status, n, end in connection.execute(query)
            ]

        return self._on.gateway.read(read)

    def check_database(self) -> None:
        """Raises CannotConnectError, or whatever keeps the database from answering."""
        self._on.gateway.read(lambda connection: connection.execute(sa.select(sa.literal(1))).scalar())

    def _stores(self, account: str) -> bool:
        serve = self._on.serve
        return serve.store_conversations and (not serve.store_accounts or account in serve.store_accounts)

    @property
    def _own(self) -> bool:
        return _is_own(self._on.tables)


def directory(tables: LayoutTables | None, gateway: Gateway | Reader, schema: str | None) -> Directory:
    """The accounts; in chatctl's own layout each has a row among the users too."""
    people = People(tables) if tables is not None and _is_own(tables) else None
    return Directory(gateway, Accounts(schema), people)


def _is_own(tables: LayoutTables) -> bool:
    return tables.layout.name == _OWN_LAYOUT
