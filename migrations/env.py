"""Alembic's entrance to chatctl's own revisions. chatctl hands over the connection; nothing here connects by itself."""

from __future__ import annotations

from alembic import context
from alembic.util import CommandError

from chatctl.stores.sql.versions import VERSION_TABLE

settings = context.config.attributes
connection = settings.get("connection")
if connection is None and not context.is_offline_mode():
    raise CommandError("These revisions are run by chatctl: chatctl migrate --help")

context.configure(
    connection=connection,
    dialect_name=settings.get("dialect_name"),
    version_table=VERSION_TABLE,
    version_table_schema=settings.get("journal_schema"),
    transaction_per_migration=True,
    transactional_ddl=settings.get("transactional_ddl"),
    dont_mutate=settings.get("dont_mutate", False),
    literal_binds=context.is_offline_mode(),
)

with context.begin_transaction():
    context.run_migrations()
