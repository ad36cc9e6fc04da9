"""Reads a schema dump, as mariadb-dump, pg_dump or SQLite's .dump writes it, for what makes its tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from chatctl.errors import InputFileError
from chatctl.services.lint.judging import Judge
from chatctl.services.lint.statements import statements

_MAKES = re.compile(
    r"CREATE\s+(?:UNIQUE\s+|FULLTEXT\s+|SPATIAL\s+|MATERIALIZED\s+)*(?:TABLE|INDEX|TYPE|SEQUENCE|VIEW)\b"
    r"|ALTER\s+(?:TABLE|SEQUENCE|TYPE)\b(?!.*\bOWNER\s+TO\b)",
    re.IGNORECASE | re.DOTALL,
)
#: Tables that the engine makes by itself.
_OF_THE_ENGINE = re.compile(r"CREATE\s+TABLE\s+[\"`]?sqlite_", re.IGNORECASE)
#: Rows between two statements, and commands of psql: neither is SQL.
_ROWS = re.compile(r"^COPY\b[^;]*\bFROM\s+stdin;\n.*?^\\\.$", re.IGNORECASE | re.DOTALL | re.MULTILINE)
_COMMANDS = re.compile(r"^\\\S.*$", re.MULTILINE)


def schema_of(file: Path, engine: str) -> list[str]:
    """The statements in `file` that make tables, types, indexes, keys, sequences and views; rows are left out.

    Raises InputFileError where the file can't be read or makes no table.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InputFileError(f"{file} can't be read: {problem}.") from problem
    found = list(_making(_COMMANDS.sub("", _ROWS.sub("", text)), str(file), engine))
    if not found:
        raise InputFileError(f"{file} makes no table.", hint="It should hold CREATE TABLE statements: a schema dump.")
    return found


def _making(text: str, where: str, engine: str) -> Iterator[str]:
    for statement in statements(text, where, backslash_escapes=Judge(engine).backslash_escapes):
        if _MAKES.match(statement.sql) and not _OF_THE_ENGINE.match(statement.sql):
            yield statement.sql
