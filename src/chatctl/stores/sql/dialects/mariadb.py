"""MariaDB 10.6 and later: MySQL's dialect, where MariaDB doesn't differ; and telling the two apart."""

from __future__ import annotations

import sqlalchemy as sa

from chatctl.stores.sql.dialects.base import Dialect
from chatctl.stores.sql.dialects.gentle import MariaDBManners
from chatctl.stores.sql.dialects.measuring import Gauge, MariaDBGauge
from chatctl.stores.sql.dialects.mysql import MySQL


class MariaDB(MySQL):
    """A MariaDB server."""

    name = "mariadb"
    title = "MariaDB"
    manners = MariaDBManners()
    _foreign_keys = "INNODB_SYS_FOREIGN"

    def limit_idleness(self, connection: sa.Connection, seconds: int) -> None:
        """idle_transaction_timeout."""
        connection.exec_driver_sql(f"SET SESSION idle_transaction_timeout = {seconds}")

    def gauge(self) -> Gauge:
        """Told by what the server refuses."""
        return MariaDBGauge()


class EitherMySQL(MySQL):
    """A server that hasn't answered yet: either product is reached by the same URLs."""

    def specialise(self, engine: sa.Engine) -> Dialect:
        """MariaDB's dialect where the server says that it is one, else MySQL's."""
        with engine.connect():
            return MariaDB() if getattr(engine.dialect, "is_mariadb", False) else MySQL()
