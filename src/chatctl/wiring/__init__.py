"""The composition root: the only place that builds stores, from the settings of one context.

Everything is built when it is first asked for, so that a command pays only for what it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from chatctl.errors import MissingEntityError
from chatctl.layouts.model import Layout
from chatctl.services.migrate.target import MigrationTarget
from chatctl.settings import Settings
from chatctl.settings.layout import configured_layout
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.thresholds import Thresholds

if TYPE_CHECKING:
    from chatctl.domain.progress import Progress
    from chatctl.services.backup.parts import System as BackupSystem
    from chatctl.services.counters.issuing import Issuer
    from chatctl.services.permissions.probing import Prober
    from chatctl.services.purge.reporting import Reporter
    from chatctl.services.purge.target import PurgeTarget
    from chatctl.services.regroup.target import RegroupTarget
    from chatctl.services.rollback.target import RollbackTarget
    from chatctl.services.runs.target import RunsTarget
    from chatctl.services.transfer.target import TransferTarget
    from chatctl.stores.redis.erasure import UserTraces
    from chatctl.stores.redis.stores import RedisStores
    from chatctl.stores.repository import Repository
    from chatctl.stores.sql.chats import SqlChats
    from chatctl.stores.sql.high_water import SqlHighWater
    from chatctl.stores.sql.session_archive import SessionArchive
    from chatctl.stores.tpms.source import TpmsSource
    from chatctl.wiring.serving import Serving


class Wiring:
    """The stores of the context that `settings` describe; `close` gives back what was opened."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._opened = ExitStack()

    @cached_property
    def layout(self) -> Layout:
        """The layout; raises LayoutError."""
        return configured_layout(self.settings)

    def database(self, *, read_only: bool = False) -> Database:
        """The SQL database, one for all that write; a read-only one refuses writes by itself."""
        return self.database_at(self.settings.database.reveal(), read_only=True) if read_only else self._writable

    @cached_property
    def _writable(self) -> Database:
        if self.settings.entries["database"].is_default:
            # The embedded database may be the first thing that is kept in the data folder.
            self.settings.data_dir.mkdir(parents=True, exist_ok=True)
        return self.database_at(self.settings.database.reveal(), read_only=False)

    def transfer(self, *, read_only: bool = False) -> TransferTarget:
        """What import and export work on."""
        from chatctl.services.transfer.target import TransferTarget

        database = self.database(read_only=read_only)
        return TransferTarget(database, self.layout, Journal(database, self.settings.journal_schema))

    def migration(self, *, read_only: bool = False) -> MigrationTarget:
        """What the migrate commands work on: the layout's revisions, or an application's own project."""
        database = self.database(read_only=read_only)
        place = self.settings.migrations_script_location
        if place is not None:
            from chatctl.services.migrate.project import find_target

            return find_target(database, self.layout, self.settings.journal_schema, place)
        return MigrationTarget(database, self.layout, Journal(database, self.settings.journal_schema))

    def regroup(self, *, read_only: bool = False) -> RegroupTarget:
        """What the regroup commands work on."""
        from chatctl.services.regroup.target import RegroupTarget

        database = self.database(read_only=read_only)
        return RegroupTarget(database, self.layout, self._throttled(database))

    def _throttled(self, database: Database) -> Journal:
        """The journal of a database, for runs that wait where the servers have had enough."""
        asked = self.settings.throttle
        replica = self.database_at(asked.replica.reveal(), read_only=True) if asked.replica else None
        limits = Thresholds(replica, asked.max_lag_seconds, asked.max_running, asked.max_statement_ms)
        return Journal(database, self.settings.journal_schema, thresholds=limits)

    def runs(self, *, read_only: bool = False) -> RunsTarget:
        """What the runs commands work on."""
        from chatctl.services.runs.target import RunsTarget

        database = self.database(read_only=read_only)
        return RunsTarget(database, Journal(database, self.settings.journal_schema))

    @cached_property
    def redis(self) -> RedisStores:
        """The counters, the sessions and the permission cache; raises MissingEntityError where there are none."""
        from chatctl.stores.redis.stores import RedisStores

        if not self.layout.redis:
            raise MissingEntityError(
                f"The layout '{self.layout.name}' keeps nothing in Redis.",
                hint="Numbered sessions need a layout with Redis keys, as simorgh and native have.",
            )
        settings = self.settings.redis
        stores = RedisStores(
            settings.url.reveal(),
            self.layout.redis,
            self.settings.data_dir,
            chat_db=settings.chat_db,
            cache_db=settings.cache_db,
        )
        self._opened.callback(stores.close)
        return stores

    @cached_property
    def chats(self) -> SqlChats | None:
        """The chats in SQL, to be read, where the layout has them and no sessions in Redis; else None."""
        from chatctl.stores.sql.chats import SqlChats

        if "chat_metadata" in self.layout.redis or not SqlChats.declared_by(self.layout):
            return None
        return SqlChats(self.database(read_only=True), self.layout)

    def purge(self, *, read_only: bool = False) -> PurgeTarget:
        """What the purge commands work on."""
        from chatctl.domain.retention import Retention
        from chatctl.services.purge.target import PurgeTarget
        from chatctl.stores.archive_folder import ArchiveFolder

        database, policy = self.database(read_only=read_only), self.settings.purge
        retention = Retention.of_days(
            policy.retention_days,
            policy.minimum_days,
            account=policy.accounts,
            project=policy.projects,
            chat_type=policy.chat_types,
        )
        return PurgeTarget(
            database,
            self.layout,
            self._throttled(database),
            ArchiveFolder(policy.archive_folder),
            retention,
            policy.archive,
            self.redis.sessions if self._keeps_sessions else None,
            self._user_traces() if self._keeps_sessions else None,
        )

    def _user_traces(self) -> UserTraces:
        from chatctl.stores.redis.erasure import UserTraces

        return UserTraces(self.redis.servers, self.redis.keys, self.redis.sessions)

    @property
    def _keeps_sessions(self) -> bool:
        """Whether there is a Redis with sessions: one that was configured, or the embedded one once it was used."""
        declared = "chat_metadata" in self.layout.redis
        configured = not self.settings.entries["redis.url"].is_default
        return declared and (configured or (self.settings.data_dir / "redis").is_dir())

    def purge_reporter(self) -> Reporter:
        """Who is told how a purge went."""
        from chatctl.observe.pings import Pings
        from chatctl.services.purge.reporting import Reporter

        policy = self.settings.purge
        url = policy.ping_url.reveal() if policy.ping_url else None
        return Reporter(Pings(url), policy.metrics_file, self.settings.context_name)

    def high_water(self, *, read_only: bool = False) -> SqlHighWater:
        """The durable marks of what was issued; chatctl's own tables are made unless it is only read."""
        from chatctl.stores.sql.high_water import SqlHighWater

        database = self.database(read_only=read_only)
        marks = SqlHighWater(database, Journal(database, self.settings.journal_schema))
        if not read_only:
            marks.prepare()
        return marks

    def session_archive(self, *, read_only: bool = False) -> SessionArchive:
        """The archive of sessions; raises MissingEntityError where the layout declares none."""
        from chatctl.stores.sql.session_archive import SessionArchive

        return SessionArchive(self.database(read_only=read_only), self.layout)

    def archives(self) -> list[SessionArchive]:
        """The places beside Redis that hold sessions by ID, to be read."""
        from chatctl.stores.sql.session_archive import SessionArchive

        return [self.session_archive(read_only=True)] if SessionArchive.declared_by(self.layout) else []

    def issuer(self) -> Issuer:
        """What creates sessions under numbers that were never issued."""
        from chatctl.services.counters.issuing import Issuer

        return Issuer(self.redis.counters, self.high_water(), self.archives())

    @cached_property
    def permission_source(self) -> TpmsSource:
        """The database that knows projects and grants: the configured one, else chatctl's own."""
        from chatctl.stores.tpms.source import TpmsSource, tpms_database

        given = self.settings.permissions_database
        database = tpms_database(given.reveal() if given else self.settings.database.reveal())
        self._opened.callback(database.close)
        return TpmsSource(database, self.layout, configured=given is not None)

    def prober(self, *, cached: bool = True) -> Prober:
        """What decides who may enter a project."""
        from chatctl.services.permissions.probing import Prober

        cache = self.redis.permission_cache if cached and self.layout.redis else None
        return Prober(self.permission_source, cache)

    def repository(self) -> Repository:
        """Where backups are kept."""
        from chatctl.stores.repository.folder import FolderRepository
        from chatctl.stores.repository.remote import RemoteRepository

        store = self.settings.backup_store.reveal()
        return RemoteRepository(store) if "://" in store else FolderRepository(Path(store))

    def rollback(self, *, read_only: bool = False) -> RollbackTarget:
        """What the rollback commands work on."""
        from chatctl.services.rollback.target import RollbackTarget

        return RollbackTarget(
            self.settings.context_name,
            self.migration(read_only=read_only),
            self.regroup(read_only=read_only),
            self.purge(read_only=read_only),
            self.backup_system(read_only=read_only),
            self.repository(),
            Path.cwd(),
        )

    @cached_property
    def serving(self) -> Serving:
        """What the embedded API stands on."""
        from chatctl.wiring.serving import Serving

        return Serving(self, self._opened)

    def backup_first(self, progress: Progress) -> Callable[[], str]:
        """What takes a backup before a run begins."""
        from chatctl.services.backup.first import taker
        from chatctl.services.backup.parts import Work
        from chatctl.services.rollback.environment import keep

        return taker(self.backup_system(), Work(self.repository(), progress), lambda: keep(Path.cwd()))

    def backup_system(
        self,
        *,
        replica_url: str | None = None,
        database_url: str | None = None,
        redis_url: str | None = None,
        read_only: bool = False,
    ) -> BackupSystem:
        """What is backed up (from `replica_url`, where one is given), or restored into: the context's own servers, or
        those that `database_url` and `redis_url` name instead.

        Another database without another Redis has none: nobody restores half of a copy into the live system.
        """
        from chatctl.services.backup.environment import describe
        from chatctl.services.backup.parts import System
        from chatctl.stores.sql.high_water import SqlHighWater
        from chatctl.stores.sql.session_archive import SessionArchive

        elsewhere = replica_url or database_url
        database = (
            self.database_at(elsewhere, read_only=replica_url is not None)
            if elsewhere
            else self.database(read_only=read_only)
        )
        journal = Journal(database, self.settings.journal_schema)
        return System(
            context=self.settings.context_name,
            target=MigrationTarget(database, self.layout, journal),
            redis=self._backup_redis(database_url, redis_url),
            high_water=SqlHighWater(database, journal),
            archives=[SessionArchive(database, self.layout)] if SessionArchive.declared_by(self.layout) else [],
            environment=describe(self.settings, Path.cwd()),
        )

    def database_at(self, url: str, *, read_only: bool, connections: int | None = None) -> Database:
        """The database at a URL, closed with everything else."""
        database = Database(url, read_only=read_only, connections=connections)
        self._opened.callback(database.close)
        return database

    def _backup_redis(self, database_url: str | None, redis_url: str | None) -> RedisStores | None:
        if not self.layout.redis or (database_url is not None and redis_url is None):
            return None
        if redis_url is not None:
            return self.redis_at(redis_url)
        unused = self.settings.entries["redis.url"].is_default and not (self.settings.data_dir / "redis").exists()
        return None if unused else self.redis

    def redis_at(
        self,
        url: str,
        data_dir: Path | None = None,
        patience_seconds: float | None = None,
        *,
        named_as_cluster: bool = False,
    ) -> RedisStores:
        """Redis at another URL than the context's."""
        from chatctl.stores.redis.stores import RedisStores

        numbers = self.settings.redis
        stores = RedisStores(
            url,
            self.layout.redis,
            data_dir or self.settings.data_dir,
            chat_db=numbers.chat_db,
            cache_db=numbers.cache_db,
            patience_seconds=patience_seconds,
            named_as_cluster=named_as_cluster,
        )
        self._opened.callback(stores.close)
        return stores

    @contextmanager
    def scratch_redis(self, version: str, clustered: bool) -> Iterator[RedisStores]:
        """An empty Redis of `version` or a newer one, gone at the end; raises MissingToolError where there is none.

        Where `clustered` it names its keys as a cluster does.
        """
        from chatctl.stores.redis.embedded import require_version

        with TemporaryDirectory(prefix="chatctl-drill-") as folder:
            require_version(Path(folder) / "redis", version)
            stores = self.redis_at("embedded", Path(folder), named_as_cluster=clustered)
            try:
                yield stores
            finally:
                stores.close()

    def close(self) -> None:
        """Closes what was opened."""
        self._opened.close()
