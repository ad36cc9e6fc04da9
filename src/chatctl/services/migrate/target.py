"""What a migration works on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from chatctl.errors import CannotConnectError
from chatctl.layouts.model import Layout
from chatctl.services.migrate.recognition import Recognition, recognise
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import snapshot_of_layout
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.versions import stamped

if TYPE_CHECKING:
    from chatctl.stores.sql.revisions import Direction, Revision, Revisions

#: What a migration's run works on, as the journal says it.
SCHEMA_SCOPE = "schema"


@dataclass(frozen=True)
class MigrationTarget:
    """A database, the layout that it is read by, its journal, and the revisions that carry it on."""

    database: Database
    layout: Layout
    journal: Journal

    @cached_property
    def revisions(self) -> Revisions:
        """The layout's chain of revisions; empty where the layout names none."""
        # Alembic takes a while to load, and many commands do without.
        from chatctl.stores.sql.revisions import Revisions

        # What revisions need of a dialect the URL tells, so that a script of them can be made where no server is.
        return Revisions(self.layout.migrations, self.database.family, self.journal.schema)

    def stamped(self, connection: sa.Connection) -> str | None:
        """The newest of them that the version table names, if any."""
        return stamped(connection, self.layout.migrations, self.database.dialect.qualified(self.journal.schema))

    @property
    def name(self) -> str:
        """What the journal calls the system whose schema is migrated."""
        return self.layout.name

    @property
    def connects_itself(self) -> bool:
        """Whether the revisions run on connections that are not chatctl's."""
        return False

    @property
    def watched(self) -> sa.Engine | type[sa.Engine]:
        """The engine whose statements are the revisions', or all of them."""
        return self.database.engine

    @property
    def tables(self) -> set[str]:
        """The names of the layout's tables, in every phase."""
        return self.layout.tables

    def snapshot(self, connection: sa.Connection) -> dict[str, str]:
        """The schema of the layout's tables, as it is now."""
        return snapshot_of_layout(connection, self.layout)

    def require_database(self) -> None:
        """Raises CannotConnectError where the database is a file that isn't there and there is nothing to begin with.

        A layout whose legacy state is an empty database may begin with no file at all.
        """
        if not self.database.exists and not self.layout.starts_empty:
            raise CannotConnectError(
                f"{self.database.where}: there is no such file.",
                hint="Check the path: chatctl doesn't create an empty database for a layout that carries old data.",
            )

    def whereabouts(self, connection: sa.Connection) -> Whereabouts:
        """Where the database stands: by its version table, or else by what it looks like."""
        snapshot = self.snapshot(connection)
        seen = recognise(self.layout, snapshot)
        stamped = self.revisions.current(connection)
        if stamped is not None:
            return Whereabouts(snapshot, seen, (stamped,), adopted=True)
        found = self.revisions.last_of(seen.phase) if seen.phase else None
        return Whereabouts(snapshot, seen, (found.id,) if found else (), adopted=False)

    def content(self, connection: sa.Connection, whereabouts: Whereabouts) -> dict[str, Any]:
        """What a plan counts on besides the schema and its statements.

        Raises EditedRevisionError where a revision was changed after it was applied.
        """
        return {"layout": self.layout.model_dump(mode="json")}

    def applied(self, connection: sa.Connection, revision: Revision, direction: Direction) -> None:
        """Told in the transaction that follows a revision."""
        return None


@dataclass(frozen=True)
class Whereabouts:
    """A database's schema, the state that it looks like, and the newest revision that it has, one for each branch.

    `adopted` says whether the version table names them, or whether they were told from the tables.
    """

    snapshot: dict[str, str]
    seen: Recognition
    heads: tuple[str, ...]
    adopted: bool

    @property
    def tables(self) -> list[str]:
        """The names of the tables that are there."""
        return sorted(path for path, text in self.snapshot.items() if text == "table")

    @property
    def revision(self) -> str | None:
        """The newest revision, where there are no branches."""
        return self.heads[-1] if self.heads else None
