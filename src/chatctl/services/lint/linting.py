"""`migrate lint`: finds what the statements of files, of a layout's revisions or of an Alembic project would do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from chatctl.domain.result import Notice, Outcome, Result
from chatctl.errors import InputFileError, UsageError
from chatctl.layouts.model import Layout, Phase
from chatctl.services.lint.change import InUse
from chatctl.services.lint.findings import Finding, Severity
from chatctl.services.lint.judging import ENGINES, Judge, nobody_knows
from chatctl.services.lint.live_schema import live_schema
from chatctl.services.lint.projects import AlembicProject, version_table_of
from chatctl.services.lint.revisions import ReadRevision, RevisionReader, place_of
from chatctl.services.lint.rules import rule_names
from chatctl.services.lint.statements import SourceStatement, statements
from chatctl.services.migrate.chain import ChainProblem, before_and_itself, chain_problems, ordered_revisions
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.versions import VERSION_TABLE, migrations_folder


@dataclass(frozen=True)
class Terms:
    """How a lint is done.

    `database` is read for the engine, the schema and what is pending; without one `engine` says what the statements
    are for, and nothing is connected to. `schema` is a script of the tables that are there.
    """

    engine: str
    database: Database | None = None
    schema: str | None = None
    strict: bool = False
    all_revisions: bool = False


def terms(
    dialect: str | None, database: Callable[[], Database], schema: Path | None, *, strict: bool, all_revisions: bool
) -> Terms:
    """The terms for an engine that is named, else for the database that answers.

    Raises UsageError where there are no rules for the engine.
    """
    text = _text(schema) if schema is not None else None
    if dialect is None:
        answering = database()
        return Terms(answering.dialect.name, answering, text, strict, all_revisions)
    if dialect not in ENGINES:
        raise UsageError(f"There is no dialect '{dialect}'.", hint=f"There are: {', '.join(ENGINES)}.")
    return Terms(dialect, None, text, strict, all_revisions)


def lint_files(files: Sequence[Path], wanted: Terms) -> Result:
    """Lints SQL files in the order in which they are given, each as a change of its own."""
    judge = _judge(wanted, knows_live=True)
    findings: list[Finding] = []
    count = 0
    for file in files:
        found = list(statements(_text(file), str(file), backslash_escapes=judge.backslash_escapes))
        findings += _judged(judge, found)
        count += len(found)
        judge.settle()
    return _result(wanted, findings, [str(file) for file in files], count)


def lint_layout(layout: Layout, wanted: Terms) -> Result:
    """Lints the pending revisions of a layout, or all of them where no database is looked at."""
    folder = migrations_folder()
    project = AlembicProject(folder, (folder / "versions" / (layout.migrations or layout.name),), folder.parent)
    return _lint_revisions(project, wanted, VERSION_TABLE, layout)


def lint_project(project: AlembicProject, wanted: Terms) -> Result:
    """Lints an application's own Alembic project: its chain first, and nothing else where that is broken."""
    problems = chain_problems(project.version_folders)
    if problems:
        return _result(wanted, [_chain_finding(item, _base(project)) for item in problems], [], 0)
    return _lint_revisions(project, wanted, version_table_of(project), None)


def _lint_revisions(project: AlembicProject, wanted: Terms, version_table: str, layout: Layout | None) -> Result:
    database = None if wanted.all_revisions else wanted.database
    judge = _judge(wanted, knows_live=database is not None)
    reader = RevisionReader(wanted.engine, project, _base(project), judge.backslash_escapes)
    chain = ordered_revisions(project.version_folders)
    applied = before_and_itself(_stamped(database, version_table), chain) if database is not None else set()
    pending = [reader.read(file) for file in chain if file.id not in applied]
    findings: list[Finding] = []
    for revision in pending:
        findings += _judged(judge, revision.transaction, in_use_by(layout, Phase(revision.phase)))
        if database is None:
            # Each was a release of its own; what is pending on a database runs in one go.
            judge.settle()
    count = sum(len(revision.statements) for revision in pending)
    result = _result(wanted, findings, [revision.id for revision in pending], count)
    return replace(result, warnings=tuple(_unread(revision) for revision in pending if revision.problem))


def _judge(wanted: Terms, *, knows_live: bool) -> Judge:
    judge = Judge(wanted.engine)
    if wanted.schema is not None:
        judge.know(wanted.schema)
    elif knows_live and wanted.database is not None and wanted.database.exists:
        judge.know(live_schema(wanted.database))
    return judge


def _judged(judge: Judge, found: Sequence[SourceStatement], in_use: InUse = nobody_knows) -> list[Finding]:
    return [*judge.judge_all(found, in_use), *_misnamed(found)]


def _misnamed(found: Iterable[SourceStatement]) -> list[Finding]:
    """Allowances that name no rule, most likely by a slip."""
    names = rule_names()
    return [
        Finding(
            "unknown-rule",
            Severity.WARNING,
            source.where,
            f"There is no rule '{name}' to allow.",
            "Write the rule's name as the finding shows it.",
        )
        for source in found
        for name in sorted(source.allowed - names)
    ]


def in_use_by(layout: Layout | None, reached: Phase) -> InUse:
    """What a layout says is in use once a phase is reached; of what it doesn't declare, nobody knows."""
    if layout is None:
        return nobody_knows
    entities = {entity.table: entity for entity in layout.entities.values()}

    def in_use(table: str, column: str | None) -> bool | None:
        entity = entities.get(table)
        if entity is None or column is None:
            return entity.exists_at(reached) if entity is not None else None
        found = next((item for item in entity.columns.values() if item.name == column), None)
        return found.exists_at(reached) if found is not None else None

    return in_use


def _stamped(database: Database, version_table: str) -> list[str]:
    if not database.exists:
        return []
    with database.connect() as connection:
        if not sa.inspect(connection).has_table(version_table):
            return []
        table = sa.table(version_table, sa.column("version_num"))
        return list(connection.scalars(sa.select(table.c.version_num)))


def _base(project: AlembicProject) -> Path:
    """What files are named relative to: where we are, as editors and CI expect, unless the project lies elsewhere."""
    here = Path.cwd()
    return here if project.root.is_relative_to(here) else project.root


def _chain_finding(problem: ChainProblem, base: Path) -> Finding:
    where = place_of(problem.files[0], base)
    return Finding(problem.rule, Severity.ERROR, where, problem.message, "Mend the chain before anything is run.")


def _unread(revision: ReadRevision) -> Notice:
    return Notice(
        "revision_not_read",
        f"{revision.id} was read only in part: its code needs what isn't there ({revision.problem}).",
        f"Look at it yourself: {revision.path.name}",
    )


def _result(wanted: Terms, findings: Sequence[Finding], sources: Sequence[str], count: int) -> Result:
    failing = [item for item in findings if wanted.strict or item.severity is Severity.ERROR]
    data: dict[str, Any] = {
        "dialect": wanted.engine,
        "sources": list(sources),
        "statements": count,
        "findings": [finding.as_json() for finding in findings],
    }
    return Result(data, Outcome.FINDINGS if failing else Outcome.DONE)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it isn't UTF-8"
        raise InputFileError(f"{file} can't be read: {reason}.") from problem
