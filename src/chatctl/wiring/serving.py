"""What the embedded API stands on, from the same settings: its own way to SQL, and a Redis that nobody waits for."""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING

from chatctl.stores.sql.journal import Journal

if TYPE_CHECKING:
    from chatctl.services.chatting.answering import Model
    from chatctl.services.chatting.systems import Foundations, Numbered
    from chatctl.services.identity.accounts import Directory
    from chatctl.services.identity.tokens import Tokens
    from chatctl.services.purge.target import PurgeTarget
    from chatctl.stores.redis.limiter import Limiter
    from chatctl.stores.redis.stores import RedisStores
    from chatctl.stores.sql.serving.gateway import Gateway
    from chatctl.stores.sql.tables import LayoutTables
    from chatctl.wiring import Wiring

#: How long a request waits for Redis.
_PATIENCE_SECONDS = 2.0


class Serving:
    """The part of the wiring that only those need who serve requests; what it opens is left to `opened`."""

    def __init__(self, wiring: Wiring, opened: ExitStack) -> None:
        self._wiring = wiring
        self._settings = wiring.settings
        self._opened = opened

    def prepare(self) -> None:
        """Makes the tables of the embedded database, where it is used for the first time."""
        if self._settings.entries["database"].is_default:
            from chatctl.services.chatting.preparing import prepare

            prepare(self._wiring.migration())

    def directory(self, *, read_only: bool = False) -> Directory:
        """The accounts of the embedded API; the tables are made unless they are only read."""
        from chatctl.services.chatting.systems import directory
        from chatctl.stores.sql.serving.gateway import Reader

        if read_only:
            database = self._wiring.database(read_only=True)
            return directory(None, Reader(database), Journal(database, self._settings.journal_schema).schema)
        self.prepare()
        gateway = self.gateway
        return directory(self._tables(), gateway, Journal(gateway.database, self._settings.journal_schema).schema)

    @cached_property
    def redis(self) -> RedisStores:
        """Redis for whoever serves requests: an answer that takes too long is none. Limits are counted there too."""
        return self._wiring.redis_at(self._settings.redis.url.reveal(), patience_seconds=_PATIENCE_SECONDS)

    @cached_property
    def gateway(self) -> Gateway:
        """The way of requests to SQL; chatctl's own tables are made."""
        from chatctl.stores.sql.serving.gateway import CONNECTIONS, Gateway

        url = self._settings.database.reveal()
        self._wiring.database()
        database = self._wiring.database_at(url, read_only=False, connections=CONNECTIONS)
        Journal(database, self._settings.journal_schema).ensure()
        reading = database
        if database.dialect.in_process:
            reading = self._wiring.database_at(url, read_only=True, connections=CONNECTIONS)
        gateway = Gateway(database, reading)
        self._opened.callback(gateway.close)
        return gateway

    @cached_property
    def language_model(self) -> Model:
        """The model that is configured, or the echo."""
        from chatctl.stores.model.echo import EchoModel
        from chatctl.stores.model.http import HttpModel

        settings = self._settings.model
        model = HttpModel(settings) if settings.url else EchoModel()
        self._opened.callback(model.close)
        return model

    @cached_property
    def tokens(self) -> Tokens:
        """What signs and verifies access tokens, for this context alone."""
        from chatctl.services.identity.secret_file import own_secret
        from chatctl.services.identity.tokens import Tokens

        given = self._settings.serve
        secret = given.jwt_secret.reveal() if given.jwt_secret else own_secret(self._settings.data_dir)
        before = [given.jwt_previous.reveal()] if given.jwt_previous else []
        return Tokens([secret, *before], self._settings.context_name)

    def limiter(self) -> Limiter:
        """What counts requests."""
        from chatctl.stores.redis.limiter import Limiter

        return Limiter(self.redis.servers)

    def foundations(self, *, auth: bool = True) -> Foundations:
        """What the five systems stand on, by the tables as they are."""
        from chatctl.services.chatting.systems import Foundations

        gateway = self.gateway
        return Foundations(
            gateway,
            self._tables(),
            Journal(gateway.database, self._settings.journal_schema).schema,
            self._settings.serve,
            self._settings.model,
            self.language_model,
            self.tokens,
            lambda: self._purge_target,
            self._numbered() if "chat_metadata" in self._wiring.layout.redis else None,
            auth,
        )

    def _tables(self) -> LayoutTables:
        from chatctl.stores.sql.inspection import columns_by_table
        from chatctl.stores.sql.tables import LayoutTables

        names = {(entity.table, entity.schema_) for entity in self._wiring.layout.entities.values()}
        present = self.gateway.read(lambda connection: columns_by_table(connection, names))
        return LayoutTables(self._wiring.layout, present=present)

    @cached_property
    def _purge_target(self) -> PurgeTarget:
        return self._wiring.purge()

    def _numbered(self) -> Numbered:
        from chatctl.services.chatting.systems import Numbered
        from chatctl.services.counters.issuing import Issuer
        from chatctl.services.permissions.probing import Prober

        redis = self.redis
        marks, archives = self._wiring.high_water(), self._wiring.archives()
        issuer = Issuer(redis.counters, marks, archives)
        archive = next((archive for archive in archives if archive.ready), None)
        return Numbered(
            redis.sessions,
            lambda: issuer,
            lambda: Prober(self._wiring.permission_source, redis.permission_cache),
            lambda: archive,
        )
