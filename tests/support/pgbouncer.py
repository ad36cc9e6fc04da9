"""A pooler of the tests' own before a PostgreSQL server: pgbouncer in transaction mode."""

from __future__ import annotations

from typing import ClassVar

import sqlalchemy as sa
from tests.support.processes import Server, find_program


class PgBouncer(Server):
    """pgbouncer on a free port of 127.0.0.1, before the server of the SQLAlchemy URL `upstream`."""

    title: ClassVar[str] = "pgbouncer"
    accounts: ClassVar[tuple[str, ...]] = ("postgres", "nobody")

    def __init__(self, upstream: str) -> None:
        self._upstream = sa.make_url(upstream)
        super().__init__()

    @property
    def url(self) -> str:
        """The upstream's URL, through the pooler."""
        return self._upstream.set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)

    def _prepare(self) -> None:
        find_program("pgbouncer")
        accounts = self.folder / "accounts.txt"
        accounts.write_text(f'"{self._upstream.username}" "{self._upstream.password}"\n')
        self._own(accounts)
        accounts.chmod(0o600)

    def _command(self) -> list[str]:
        configuration = self.folder / "pgbouncer.ini"
        configuration.write_text(
            f"""
            [databases]
            * = host={self._upstream.host} port={self._upstream.port}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {self.port}
            unix_socket_dir =
            auth_type = scram-sha-256
            auth_file = {self.folder / "accounts.txt"}
            pool_mode = transaction
            default_pool_size = 8
            max_client_conn = 200
            ignore_startup_parameters = extra_float_digits,options
            """.replace("            ", "")
        )
        return [find_program("pgbouncer"), str(configuration)]

    def _probe(self) -> None:
        engine = sa.create_engine(self.url, poolclass=sa.NullPool)
        engine.connect().close()
