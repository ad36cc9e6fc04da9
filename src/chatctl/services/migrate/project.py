"""An application's own Alembic project as what a migration works on."""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from chatctl.domain.plans import fingerprint
from chatctl.errors import EditedRevisionError
from chatctl.layouts.model import Layout, Phase
from chatctl.services.lint.projects import find_project
from chatctl.services.migrate.chain import require_sound_chain
from chatctl.services.migrate.recognition import Recognition, StateName
from chatctl.services.migrate.target import MigrationTarget, Whereabouts
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.inspection import take_snapshot
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.projects import ProjectFiles, ProjectRevisions
from chatctl.stores.sql.revisions import Direction, Revision


def find_target(database: Database, layout: Layout, journal_schema: str | None, place: str) -> ProjectTarget:
    """The project at `place` on `database`. Raises BrokenChainError, naming the files, where its chain is broken."""
    found = find_project(place)
    require_sound_chain(found.version_folders)
    files = ProjectFiles(found.location, found.version_folders, found.root, found.ini)
    return ProjectTarget(database, layout, Journal(database, journal_schema, qualified=True), files)


@dataclass(frozen=True)
class ProjectTarget(MigrationTarget):
    """A database and the Alembic project in `files` that carries it on, with the same journal and locks.

    Its revisions have no contract phase, and its version table is its own, so that nothing needs to be adopted.
    """

    files: ProjectFiles

    @cached_property
    def revisions(self) -> ProjectRevisions:
        """The project's revisions."""
        return ProjectRevisions(self.files, self.database)

    @property
    def name(self) -> str:
        """The folder and the first revision, which is the same wherever the project is checked out."""
        return f"{self.files.location.name}@{self.revisions.chain[0].id if self.revisions.chain else ''}"[:64]

    @property
    def connects_itself(self) -> bool:
        """The project's env.py does."""
        return True

    @property
    def watched(self) -> type[sa.Engine]:
        """Every engine, since env.py makes one of its own."""
        return sa.Engine

    def snapshot(self, connection: sa.Connection) -> dict[str, str]:
        """The whole schema; what is in another one of the database's has its name before it: `audit/events`."""
        inspector = sa.inspect(connection)
        found = take_snapshot(connection)
        for schema in self._other_schemas(inspector):
            found |= {f"{schema}/{path}": text for path, text in take_snapshot(connection, schema=schema).items()}
        table = self.revisions.version_table
        return {path: text for path, text in found.items() if not _belongs_to(table, path)}

    def require_database(self) -> None:
        """A project may begin with nothing."""
        return None

    def whereabouts(self, connection: sa.Connection) -> Whereabouts:
        """Where the database stands, by the project's version table alone."""
        heads = self.revisions.heads(connection)
        pending = self.revisions.up(heads, self.revisions.goals(Phase.EXPAND))
        state: StateName = "before" if not heads else "mixed" if pending else "after"
        return Whereabouts(self.snapshot(connection), Recognition(state, Phase.EXPAND), heads, adopted=True)

    def content(self, connection: sa.Connection, whereabouts: Whereabouts) -> dict[str, Any]:
        """The text of the revisions; raises EditedRevisionError, with the difference, where an applied one changed."""
        applied = self.revisions.before(whereabouts.heads)
        recorded = self.journal.sources(connection, self.name) if self.journal.exists(connection) else {}
        for revision in self.revisions.chain:
            before = recorded.get(revision.id)
            if revision.id in applied and before is not None and _meaning(before) != _meaning(revision.source_text):
                raise EditedRevisionError(
                    f"{revision.path} was changed after it was applied:\n{_difference(before, revision)}"
                )
        return {"sources": fingerprint({item.id: item.source_text for item in self.revisions.chain})}

    def applied(self, connection: sa.Connection, revision: Revision, direction: Direction) -> None:
        """Keeps the revision's text, for the day when somebody changes it."""
        self.journal.record_source(
            connection, self.name, revision.id, revision.source_text if direction == "up" else None
        )

    def _other_schemas(self, inspector: sa.Inspector) -> list[str]:
        if not self.database.dialect.takes_turns:
            return []
        own = {inspector.default_schema_name, "information_schema", self.journal.schema}
        return [name for name in inspector.get_schema_names() if name not in own and not name.startswith("chatctl_")]


def _belongs_to(table: str, path: str) -> bool:
    name = path.rpartition("/")[2]
    return name == table or name.startswith((f"{table}.", f"{table} "))


def _meaning(source: str) -> str:
    """A revision's code without its comments and its layout."""
    try:
        return ast.dump(ast.parse(source))
    except SyntaxError:
        return source


def _difference(before: str, revision: Revision) -> str:
    now = revision.source_text.splitlines()
    lines = difflib.unified_diff(before.splitlines(), now, "as applied", "now", lineterm="", n=1)
    return "\n".join(lines)
