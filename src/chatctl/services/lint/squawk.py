"""Drives squawk, the linter for PostgreSQL (the extra `lint`), and makes findings of what it says.

squawk sees statements and no schema. What its rules mean here stands in `RULES`; where the schema is known, a rule's
`dismissed` says when a change that looks alike is free.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatctl.errors import MissingExtraError, UnexpectedError
from chatctl.services.lint.change import Change
from chatctl.services.lint.ddl import AlterDefault, OtherAction, RetypeColumn, SetNullable
from chatctl.services.lint.findings import Harm, Severity
from chatctl.services.lint.retyping import is_free
from chatctl.services.lint.statements import SourceStatement

#: The oldest server that chatctl works with decides what counts as slow.
_SERVER = "14"
_TIMEOUT_SECONDS = 60.0
#: Rules that squawk leaves out unless they are asked for.
_OPTIONAL = ("ban-alter-identity",)
_MOMENTS = ("current_date", "current_time", "current_timestamp", "localtime", "localtimestamp")
_BLOCKS = frozenset({Harm.BLOCKS})
_COPIES = frozenset({Harm.REWRITES, Harm.BLOCKS})
_BREAKS = frozenset({Harm.BREAKS})


def _never(change: Change) -> bool:
    return False


@dataclass(frozen=True)
class SquawkRule:
    """What one of squawk's rules means here.

    `dismissed` tells from the schema that a change is free, `breaks_nothing` that it isn't, but that every INSERT of
    the application goes on working.
    """

    severity: Severity
    harms: frozenset[Harm] = frozenset()
    dismissed: Callable[[Change], bool] = _never
    breaks_nothing: Callable[[Change], bool] = _never

    def harms_of(self, change: Change) -> frozenset[Harm]:
        """What the change does, where the rule isn't dismissed."""
        return self.harms - _BREAKS if self.breaks_nothing(change) else self.harms


def _retypes_freely(change: Change) -> bool:
    return all(is_free(action, change.table) for action in change.actions(RetypeColumn))


def _is_not_null_already(change: Change) -> bool:
    found = [change.table.column(action.name) for action in change.actions(SetNullable)] if change.table else [None]
    return all(column is not None and not column.nullable for column in found)


def _has_default(change: Change) -> bool:
    """Whether the columns that no longer take NULL have a default, or get one beside it."""
    given = {action.name for action in change.actions(AlterDefault) if action.default is not None}
    columns = change.table.columns if change.table else ()
    given |= {column.name for column in columns if column.default is not None}
    return given.issuperset(action.name for action in change.actions(SetNullable))


def _needs_no_default(change: Change) -> bool:
    found = [change.table.column(action.name) for action in change.actions(AlterDefault)] if change.table else [None]
    return all(column is not None and (column.nullable or column.default is None) for column in found)


def _has_one_default_for_all(change: Change) -> bool:
    """Whether the new columns' defaults are of the moment, which is the same for every row."""
    defaults = [(column.default or "").lower() for column in change.added_columns if column.default or column.generated]
    return bool(defaults) and all(default in _MOMENTS for default in defaults)


def _keeps_identity(change: Change) -> bool:
    return not any(action.text.upper() == "DROP IDENTITY" for action in change.actions(OtherAction))


#: squawk's rules that count here. Left out are its rules of style, those that ask for timeouts (chatctl sets them for
#: each statement), those that chatctl has rules of its own for, and those that every intended change would break.
RULES: dict[str, SquawkRule] = {
    "adding-field-with-default": SquawkRule(Severity.ERROR, _COPIES, _has_one_default_for_all),
    "adding-required-field": SquawkRule(Severity.ERROR, _BLOCKS | _BREAKS),
    "adding-not-nullable-field": SquawkRule(Severity.ERROR, _BLOCKS | _BREAKS, _is_not_null_already, _has_default),
    "adding-serial-primary-key-field": SquawkRule(Severity.ERROR, _BLOCKS),
    "ban-alter-identity": SquawkRule(Severity.ERROR, _BREAKS, _keeps_identity),
    "ban-alter-domain-with-add-constraint": SquawkRule(Severity.ERROR),
    "ban-concurrent-index-creation-in-transaction": SquawkRule(Severity.ERROR),
    "ban-create-domain-with-constraint": SquawkRule(Severity.WARNING),
    "ban-drop-database": SquawkRule(Severity.ERROR, _BREAKS),
    "ban-drop-default": SquawkRule(Severity.WARNING, _BREAKS, _needs_no_default),
    "ban-drop-not-null": SquawkRule(Severity.WARNING),
    "ban-truncate-cascade": SquawkRule(Severity.ERROR),
    "changing-column-type": SquawkRule(Severity.ERROR, _COPIES, _retypes_freely),
    "constraint-missing-not-valid": SquawkRule(Severity.ERROR, _BLOCKS),
    "disallowed-unique-constraint": SquawkRule(Severity.ERROR, _BLOCKS),
    "require-concurrent-index-creation": SquawkRule(Severity.ERROR, _BLOCKS),
    "require-concurrent-index-deletion": SquawkRule(Severity.WARNING),
    "require-concurrent-partition-detach": SquawkRule(Severity.WARNING),
    "require-concurrent-reindex": SquawkRule(Severity.ERROR, _BLOCKS),
    "syntax-error": SquawkRule(Severity.ERROR),
}


@dataclass(frozen=True)
class Violation:
    """What squawk said of one statement."""

    rule: str
    message: str
    help: str | None


def violations(statements: Sequence[SourceStatement]) -> list[list[Violation]]:
    """What squawk says of each statement, by those of its rules that count.

    Raises MissingExtraError where squawk isn't installed.
    """
    first_lines: list[int] = []
    script, line = "", 0  # squawk counts lines from 0
    for statement in statements:
        first_lines.append(line)
        script += f"{statement.sql};\n"
        line += statement.sql.count("\n") + 1
    found: list[list[Violation]] = [[] for _ in statements]
    for item in answer(script) if statements else []:
        if item["rule_name"] in RULES:
            number = sum(start <= item["line"] for start in first_lines) - 1
            violation = Violation(item["rule_name"], item["message"], item["help"])
            if violation not in found[number]:
                found[number].append(violation)
    return found


def answer(script: str, *options: str) -> list[dict[str, Any]]:
    """What squawk says of a script, in its own words. Raises MissingExtraError."""
    command = [program(), "--reporter", "json", "--pg-version", _SERVER, "--no-assume-in-transaction"]
    command += ["--include", ",".join(_OPTIONAL), *options]
    done = subprocess.run(
        command,
        input=script,
        capture_output=True,
        text=True,
        check=False,
        timeout=_TIMEOUT_SECONDS,
        cwd=Path(sys.executable).anchor,  # where no .squawk.toml of a project changes its rules
    )
    try:
        said: list[dict[str, Any]] = json.loads(done.stdout)
    except json.JSONDecodeError as problem:
        raise UnexpectedError(f"squawk ended with {done.returncode}: {done.stderr.strip()[:300]}") from problem
    return said


def program() -> str:
    """The path of squawk beside this interpreter, else on PATH; raises MissingExtraError."""
    folders = (sysconfig.get_path("scripts"), str(Path(sys.executable).parent))
    places = (*(shutil.which("squawk", path=folder) for folder in folders), shutil.which("squawk"))
    found = next(filter(None, places), None)
    if found is None:
        raise MissingExtraError("lint", "Linting SQL for PostgreSQL")
    return found
