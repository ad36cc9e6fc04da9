"""A layout's revisions: Alembic's script directory, read as a chain of phases, and run one step at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import alembic.util
import sqlalchemy as sa
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import Script, ScriptDirectory

from chatctl.errors import NotFoundError, RevisionError
from chatctl.layouts.model import Phase
from chatctl.stores.sql.dialects import Dialect
from chatctl.stores.sql.statements import Watch
from chatctl.stores.sql.versions import migrations_folder, stamped

Direction = Literal["up", "down"]


@dataclass(frozen=True)
class Guard:
    """A query that must count 0 before a revision runs, and what it means when it doesn't (`{count}` of them)."""

    query: sa.Select[tuple[int]]
    message: str


@dataclass(frozen=True)
class Revision:
    """One revision of a chain. `parents` are those that it follows or depends on."""

    id: str
    title: str
    phase: Phase
    path: str
    parents: tuple[str, ...] = ()
    source_text: str = ""
    guards: tuple[Guard, ...] = ()
    down_guards: tuple[Guard, ...] = ()


class Revisions:
    """The chain of `branch` (a layout's name, or `core` for the journal), as `dialect` runs it; None has none.

    `journal_schema` is the schema of the version table, or None for the connection's own.
    """

    def __init__(self, branch: str | None, dialect: Dialect, journal_schema: str | None = None) -> None:
        self.branch = branch
        self._dialect = dialect
        self._schema = dialect.qualified(journal_schema)

    @cached_property
    def _scripts(self) -> ScriptDirectory:
        config = Config()
        folder = migrations_folder()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        locations = " ".join(f'"{path}"' for path in sorted((folder / "versions").iterdir()) if path.is_dir())
        config.set_main_option("path_separator", "space")
        config.set_main_option("version_locations", locations.replace('"', "").replace("%", "%%"))
        return ScriptDirectory.from_config(config)

    @cached_property
    def chain(self) -> list[Revision]:
        """Every revision of the branch, oldest first."""
        if self.branch is None:
            return []
        try:
            scripts = list(self._scripts.walk_revisions(base=f"{self.branch}@base", head=f"{self.branch}@head"))
        except alembic.util.CommandError as problem:
            raise RevisionError(f"The revisions of '{self.branch}' can't be read: {problem}") from problem
        return [_revision(script) for script in reversed(scripts)]

    def get(self, revision_id: str) -> Revision:
        """The revision called `revision_id`, or the only one that starts so; `base` is none, `head` the last one."""
        if not self.chain:
            raise NotFoundError(f"The layout has no revisions, so none is called '{revision_id}'.")
        if revision_id == "head":
            return self.chain[-1]
        matches = [revision for revision in self.chain if revision.id == revision_id]
        matches = matches or [revision for revision in self.chain if revision.id.startswith(revision_id)]
        if len(matches) != 1:
            raise NotFoundError(
                f"No revision of '{self.branch}' is called '{revision_id}'.",
                hint=f"There are: {', '.join(revision.id for revision in self.chain)}.",
            )
        return matches[0]

    def last_of(self, phase: Phase) -> Revision | None:
        """The newest revision that belongs to `phase` or an earlier one."""
        belonging = [revision for revision in self.chain if phase.at_least(revision.phase)]
        return belonging[-1] if belonging else None

    def goals(self, phase: Phase) -> tuple[str, ...]:
        """What is newest once `phase` is applied."""
        last = self.last_of(phase)
        return (last.id,) if last else ()

    def before(self, names: Iterable[str]) -> set[str]:
        """Those revisions, and all that they follow or depend on."""
        parents = {revision.id: revision.parents for revision in self.chain}
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += parents[name]
        return found

    def up(self, heads: Iterable[str], goals: Iterable[str]) -> list[Revision]:
        """The revisions to apply, oldest first, where `heads` are applied and `goals` shall be."""
        missing = self.before(goals) - self.before(heads)
        return [revision for revision in self.chain if revision.id in missing]

    def down(self, heads: Iterable[str], goal: str | None) -> list[Revision]:
        """The applied revisions that build on `goal` (all of them for None), newest first."""
        applied = self.before(heads)
        return [
            revision
            for revision in reversed(self.chain)
            if revision.id in applied and (goal is None or (revision.id != goal and goal in self.before([revision.id])))
        ]

    def position(self, revision_id: str | None) -> int:
        """How many revisions are applied when `revision_id` is the newest of them."""
        return 0 if revision_id is None else self.chain.index(self.get(revision_id)) + 1

    def between(self, current: str | None, target: str | None) -> list[Revision]:
        """The revisions to apply, oldest first, from `current` up to `target`; empty if there are none."""
        return self.chain[self.position(current) : self.position(target)]

    def heads(self, connection: sa.Connection) -> tuple[str, ...]:
        """The newest applied revision of each branch: one at most, in a chain without any."""
        current = self.current(connection)
        return (current,) if current else ()

    def current(self, connection: sa.Connection) -> str | None:
        """The newest revision of this branch that the version table names, if any."""
        return stamped(connection, self.branch, self._schema)

    def run(
        self, connection: sa.Connection, revision: Revision, direction: Direction, watch: Watch | None = None
    ) -> None:
        """Applies or takes back one revision and moves the version table, in the revision's own transaction.

        `watch` is on while the revision's own code runs, and hears nothing of Alembic's bookkeeping.
        """
        self._in_environment(connection, [self._step(revision, direction, watch)])

    def _step(self, revision: Revision, direction: Direction, watch: Watch | None = None) -> RevisionStep:
        script = self._scripts.get_revision(revision.id)
        step: RevisionStep = (
            MigrationStep.upgrade_from_script if direction == "up" else MigrationStep.downgrade_from_script
        )(self._scripts.revision_map, script)
        if watch is not None:
            step.migration_fn = watch.on()(step.migration_fn)
        return step

    def rehearse(
        self,
        connection: sa.Connection,
        revision: Revision,
        direction: Direction,
        watch: Watch | None = None,
        url: sa.URL | None = None,
    ) -> None:
        """Runs one revision's code without moving the version table: for recording what it sends.

        `url` leads where `connection` is, for whoever connects by itself.
        """
        action = self._step(revision, direction, watch).migration_fn
        # Alembic leaves a transaction alone that was open before it came, and then has none of its own to commit.
        connection.rollback()
        context = MigrationContext.configure(
            connection,
            opts={
                "transactional_ddl": self._dialect.transactional_ddl,
                "transaction_per_migration": True,
                "dont_mutate": True,
            },
        )
        with Operations.context(context), context.begin_transaction(_per_migration=True):
            action()

    def stamp(self, connection: sa.Connection, revision: Revision | None) -> None:
        """Writes into the version table that `revision` is the newest applied one of this branch."""

        def moves(heads: Any, context: MigrationContext) -> Iterable[Any]:
            target = revision.id if revision else f"{self.branch}@base"
            # Alembic's public `stamp` command would need a config file and open a connection of its own.
            return self._scripts._stamp_revs(target, heads)

        self._in_environment(connection, moves)

    def script(self, revisions: Sequence[Revision], direction: Direction) -> str:
        """The SQL script of `revisions` in order, made without a database; empty where there are none."""
        if not revisions:
            return ""
        buffer = StringIO()
        steps = [self._step(item, direction) for item in revisions]
        heads = revisions[0].id if direction == "down" else self._before(revisions[0])
        self._in_environment(None, steps, output_buffer=buffer, heads=heads)
        return buffer.getvalue()

    def _before(self, revision: Revision) -> str | None:
        place = self.chain.index(revision)
        return self.chain[place - 1].id if place else None

    def _in_environment(
        self, connection: sa.Connection | None, steps: Any, output_buffer: Any = None, heads: str | None = None
    ) -> None:
        config = Config(output_buffer=output_buffer) if output_buffer else Config()
        config.attributes.update(
            connection=connection,
            dialect_name=self._dialect.alembic_name,
            journal_schema=self._schema,
            transactional_ddl=self._dialect.transactional_ddl,
        )
        function = steps if callable(steps) else (lambda heads, context: steps)
        with EnvironmentContext(
            config, self._scripts, fn=function, as_sql=connection is None, starting_rev=heads, destination_rev=None
        ):
            self._scripts.run_env()


def _revision(script: Script) -> Revision:
    module = script.module
    return Revision(
        id=script.revision,
        title=getattr(module, "title", script.doc),
        phase=Phase(getattr(module, "phase", "expand")),
        path=str(Path(script.path).name),
        parents=(script.down_revision,) if isinstance(script.down_revision, str) else (),
        guards=_guards(module, "guards"),
        down_guards=_guards(module, "down_guards"),
    )


def _guards(module: ModuleType, name: str) -> tuple[Guard, ...]:
    return tuple(Guard(query, message) for query, message in getattr(module, name, ()))
