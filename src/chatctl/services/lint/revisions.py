"""Gets the SQL of Alembic revisions by running their code against nothing, each statement with its file and line.

Neither an env.py nor a database is needed. A revision that asks the database something can't be read to its end this
way: what it sent until then is kept, and the reason.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import load_python_file

from chatctl.services.lint.allowing import Allowances
from chatctl.services.lint.projects import AlembicProject
from chatctl.services.lint.statements import SourceStatement, statements
from chatctl.services.migrate.chain import RevisionFile

#: What an application's URL for MariaDB says, and what SQLAlchemy finds out when it connects with it.
_SCHEMES = {"mariadb": "mysql"}
_DIALECT_OPTIONS: dict[str, dict[str, Any]] = {"mariadb": {"is_mariadb": True}}


@dataclass
class ReadRevision:
    """A revision's statements on its way up; `problem` says what kept it from being read to its end."""

    id: str
    path: Path
    phase: str = "expand"
    statements: list[SourceStatement] = field(default_factory=list)
    problem: str | None = None

    @property
    def transaction(self) -> list[SourceStatement]:
        """Its statements between the BEGIN and the COMMIT that Alembic sends around them."""
        begin, commit = statements("BEGIN; COMMIT", self.id, backslash_escapes=False)
        return [begin, *self.statements, commit]


@dataclass(frozen=True)
class RevisionReader:
    """Reads the revisions of `project` as `engine` (a dialect's name) would get them.

    They import their application from where we are or from the project's root. Files are named relative to `base`.
    """

    engine: str
    project: AlembicProject
    base: Path
    backslash_escapes: bool

    def read(self, file: RevisionFile) -> ReadRevision:
        """One revision. What its code raises is the answer's problem, not an error."""
        read = ReadRevision(file.id, file.path)
        output = _Output(file.path)
        try:
            with _importing_from(Path.cwd(), self.project.root), redirect_stdout(sys.stderr):
                module = load_python_file(str(file.path.parent), file.path.name)
                read.phase = getattr(module, "phase", read.phase)
                with Operations.context(self._context(output)):
                    module.upgrade()
        except (Exception, SystemExit) as problem:  # the application's own code may raise anything
            read.problem = f"{type(problem).__name__}: {problem}".splitlines()[0]
        read.statements = list(self._statements(output, file.path))
        return read

    def _context(self, output: _Output) -> MigrationContext:
        scripts = ScriptDirectory(str(self.project.location))
        return MigrationContext.configure(
            url=sa.make_url(f"{_SCHEMES.get(self.engine, self.engine)}://"),
            dialect_opts={"paramstyle": "named", **_DIALECT_OPTIONS.get(self.engine, {})},
            environment_context=EnvironmentContext(Config(self.project.ini), scripts, as_sql=True),
            opts={"as_sql": True, "output_buffer": output, "literal_binds": True},
        )

    def _statements(self, output: _Output, path: Path) -> Iterator[SourceStatement]:
        allowances = Allowances(path.read_text(encoding="utf-8"))
        where = place_of(path, self.base)
        for line, sql in output.sent:
            for statement in statements(sql, where, backslash_escapes=self.backslash_escapes):
                allowed = statement.allowed | allowances.at(line)
                yield replace(statement, where=f"{where}:{line}", allowed=allowed)


class _Output(io.StringIO):
    """What Alembic writes a script to: keeps each statement with the line of the revision that sent it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = str(path)
        self.sent: list[tuple[int, str]] = []

    def write(self, text: str) -> int:
        self.sent.append((self._line(), text))
        return len(text)

    def _line(self) -> int:
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame.f_code.co_filename != self._file:
            frame = frame.f_back
        return frame.f_lineno if frame is not None else 1


def place_of(file: Path, base: Path) -> str:
    """The file as findings name it: relative to `base` where it lies below."""
    resolved = file.resolve()
    return str(resolved.relative_to(base)) if resolved.is_relative_to(base) else str(resolved)


@contextmanager
def _importing_from(*folders: Path) -> Iterator[None]:
    """Lets revisions import their application, as Alembic's prepend_sys_path does."""
    before = list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    try:
        yield
    finally:
        sys.path[:] = before
