"""An application's own Alembic project: its env.py, its version table, its branches.

Its env.py runs as Alembic would run it and makes its own connection, so chatctl listens on all engines while it does.
What it prints goes to stderr, and its logging configuration is left out: both are chatctl's to decide.
"""

from __future__ import annotations

import logging.config
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.command import revision as revision_command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError

from chatctl.errors import ChatctlError, ConfigurationError, RevisionError
from chatctl.layouts.model import Phase
from chatctl.stores.sql.answers import Answer
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dialects.registry import place_of
from chatctl.stores.sql.inspection import OWN_PREFIX
from chatctl.stores.sql.redirecting import leading_into
from chatctl.stores.sql.revisions import Direction, Revision, Revisions
from chatctl.stores.sql.statements import Statement, Watch

#: What Alembic is told to do once env.py has connected: from the heads and the context, the steps to run.
Moves = Callable[[tuple[str, ...], MigrationContext], Iterable[Any]]


@dataclass(frozen=True)
class ProjectFiles:
    """Where a project is: the folder of env.py, those of its revisions, where its imports start, its alembic.ini."""

    location: Path
    version_folders: tuple[Path, ...]
    root: Path
    ini: Path | None = None


class ProjectRevisions(Revisions):
    """The revisions of the project in `files`, each behind those that it follows, run on `database` by its env.py."""

    def __init__(self, files: ProjectFiles, database: Database) -> None:
        super().__init__(files.location.name, database.dialect)
        self._files = files
        self._database = database
        self.version_table = "alembic_version"

    @cached_property
    def _scripts(self) -> ScriptDirectory:
        with self._at_home():
            return ScriptDirectory.from_config(self._config())

    @cached_property
    def chain(self) -> list[Revision]:
        """Every revision, oldest first."""
        try:
            with self._at_home():
                found = [self._revision(script) for script in self._scripts.walk_revisions()]
        except CommandError as problem:
            raise RevisionError(f"The revisions in {self._files.location} can't be read: {problem}") from problem
        return list(reversed(found))

    def goals(self, phase: Phase) -> tuple[str, ...]:
        """Every head: an application's own revisions have no contract phase."""
        return tuple(self._scripts.get_heads())

    def current(self, connection: sa.Connection) -> str | None:
        """One of the heads of the version table."""
        heads = self.heads(connection)
        return heads[-1] if heads else None

    def heads(self, connection: sa.Connection) -> tuple[str, ...]:
        """The heads in the project's own version table, which its env.py names."""
        found: list[tuple[str, ...]] = []

        def look(heads: tuple[str, ...], context: MigrationContext) -> Iterable[Any]:
            self.version_table = context.version_table
            found.append(heads)
            return ()

        self._run_env(look, dont_mutate=True)
        known = {revision.id for revision in self.chain}
        strange = [head for head in found[0] if head not in known] if found else []
        if strange:
            raise RevisionError(
                f"The database has revision {strange[0]}, which is not in {self._files.location}.",
                hint="Is it the right database and the right branch of the application?",
            )
        return found[0] if found else ()

    def run(
        self, connection: sa.Connection, revision: Revision, direction: Direction, watch: Watch | None = None
    ) -> None:
        """Applies or takes back one revision and moves the version table, as env.py says."""
        step = self._step(revision, direction, watch)
        self._run_env(lambda heads, context: [step])

    def rehearse(
        self,
        connection: sa.Connection,
        revision: Revision,
        direction: Direction,
        watch: Watch | None = None,
        url: sa.URL | None = None,
    ) -> None:
        """Runs one revision's code through env.py; neither env.py nor Alembic writes anything meanwhile."""
        step = self._step(revision, direction, watch)

        def code_alone(heads: tuple[str, ...], context: MigrationContext) -> Iterable[Any]:
            with context.begin_transaction(_per_migration=True):
                step.migration_fn()
            return ()

        with Watch(sa.Engine, _WritesOnlyWhere(watch)).listening() as around, around.on():
            self._run_env(code_alone, dont_mutate=True, url=url)

    def write(self, message: str, *, autogenerate: bool) -> tuple[str, str, tuple[str, ...]]:
        """Writes a new revision behind the heads; its file, its ID, and those that it follows."""
        with self._at_home():
            try:
                written = revision_command(
                    self._config(url=self._database.url),
                    message,
                    autogenerate=autogenerate,
                    head="heads",
                    process_revision_directives=_leave_own_tables,
                )
            except CommandError as problem:
                raise RevisionError(f"No revision can be written: {problem}") from problem
        script = written[0] if isinstance(written, list) else written
        if script is None:
            raise RevisionError("The project's env.py has withdrawn the revision.")
        follows = script.down_revision or ()
        return script.path, script.revision, (follows,) if isinstance(follows, str) else tuple(follows)

    def script(self, revisions: Iterable[Revision], direction: Direction) -> str:
        """The SQL script of `revisions` in order, made without a database."""
        ordered = list(revisions)
        if not ordered:
            return ""
        steps = [self._step(item, direction) for item in ordered]
        buffer = StringIO()
        heads = ordered[0].id if direction == "down" else next(iter(ordered[0].parents), None)
        self._run_env(lambda heads, context: steps, buffer=buffer, as_sql=True, starting_rev=heads)
        return buffer.getvalue()

    def _run_env(self, moves: Moves, buffer: StringIO | None = None, url: sa.URL | None = None, **options: Any) -> None:
        wanted = url or self._database.url

        def checked(heads: tuple[str, ...], context: MigrationContext) -> Iterable[Any]:
            if context.connection is not None:
                _require_same(context.connection.engine.url, self._database.url, wanted)
            return moves(heads, context)

        config = self._config(buffer, wanted)
        led = leading_into(url, self._database.url, self._database.engine) if url else nullcontext()
        with self._at_home(), led, EnvironmentContext(config, self._scripts, fn=checked, **options):
            try:
                self._scripts.run_env()
            except CommandError as problem:
                raise RevisionError(f"{self._files.location / 'env.py'}: {problem}") from problem
            except (ChatctlError, sa.exc.DBAPIError):
                raise
            # The application's own code may raise anything.
            except Exception as problem:
                raise _told(problem, self._files.root) from problem

    def _config(self, buffer: StringIO | None = None, url: sa.URL | None = None) -> Config:
        config = Config(self._files.ini, output_buffer=buffer) if buffer else Config(self._files.ini)
        config.set_main_option("script_location", _escaped(str(self._files.location)))
        config.set_main_option("path_separator", "os")
        config.set_main_option("version_locations", _escaped(os.pathsep.join(map(str, self._files.version_folders))))
        if url is not None:
            config.set_main_option("sqlalchemy.url", _escaped(url.render_as_string(hide_password=False)))
        return config

    @contextmanager
    def _at_home(self) -> Iterator[None]:
        """With the project's folder on the import path, its prints on stderr, and its logging settings left out."""
        before, configure = list(sys.path), logging.config.fileConfig
        sys.path[:0] = [str(self._files.root)]
        logging.config.fileConfig = lambda *arguments, **options: None
        try:
            with redirect_stdout(sys.stderr):
                yield
        finally:
            sys.path[:] = before
            logging.config.fileConfig = configure

    def _revision(self, script: Script) -> Revision:
        needed = script.dependencies or ()
        required = [needed] if isinstance(needed, str) else list(needed)
        follows = script.down_revision or ()
        parents = [follows] if isinstance(follows, str) else list(follows)
        parents += [found.revision for name in required if (found := self._scripts.get_revision(name)) is not None]
        return Revision(
            id=script.revision,
            title=script.doc or script.revision,
            phase=Phase.EXPAND,
            path=str(Path(script.path).name),
            parents=tuple(parents),
            source_text=Path(script.path).read_text(encoding="utf-8"),
        )


class _WritesOnlyWhere:
    """Leaves every write out (a `Handler`), but for those that another watch decides about."""

    def __init__(self, other: Watch | None) -> None:
        self._other = other

    def write(self, statement: Statement, cursor: Any, connection: sa.Connection) -> bool:
        """Whether the write is left out."""
        return not (statement.is_session_setting or (self._other is not None and self._other.is_on))

    def read(self, query: Statement, cursor: Any, connection: sa.Connection) -> Answer | None:
        """Lets it run."""
        return None


def _leave_own_tables(context: object, revision: object, directives: list[Any]) -> None:
    """The journal's tables are in no application's models, and shall not be dropped for that."""
    for script in directives:
        for found in (*script.upgrade_ops_list, *script.downgrade_ops_list):
            found.ops = [item for item in found.ops if not str(getattr(item, "table_name", "")).startswith(OWN_PREFIX)]


def _escaped(value: str) -> str:
    return value.replace("%", "%%")


def _told(problem: BaseException, root: Path) -> BaseException:
    """What the application's code raised, with the line of it that did; chatctl's own error, if it has wrapped one."""
    inner: BaseException | None = problem
    while inner is not None:
        if isinstance(inner, ChatctlError | sa.exc.DBAPIError):
            return inner
        inner = inner.__cause__ or inner.__context__
    frames = [
        frame for frame in traceback.extract_tb(problem.__traceback__) if Path(frame.filename).is_relative_to(root)
    ]
    place = f"{Path(frames[-1].filename).relative_to(root)}:{frames[-1].lineno}: " if frames else ""
    hint = None
    if isinstance(problem, ImportError):
        hint = "Install chatctl into the environment that the application itself runs in."
    return RevisionError(f"{place}{type(problem).__name__}: {problem}", hint=hint)


def _require_same(connected: sa.URL, real: sa.URL, wanted: sa.URL) -> None:
    """Raises ConfigurationError where env.py has connected to another database than the one that chatctl looks at.

    One that goes by a URL of its own still says the real one while it is led elsewhere.
    """
    if place_of(connected) not in (place_of(real), place_of(wanted)):
        raise ConfigurationError(
            f"The project's env.py connects to {connected.render_as_string()}, not to {real.render_as_string()}.",
            hint="Let env.py take its URL from the configuration's sqlalchemy.url, or give chatctl the same one.",
        )
