"""How a change waits for its lock without making everybody behind it wait, and what is said when it can't have it.

A change that waits for a table's lock holds up every statement that comes after it. So it waits for a moment only,
lets the others pass, and tries again; a statement that holds nobody up may wait as long as it takes.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from chatctl.errors import ConsentRequiredError


@dataclass(frozen=True)
class Gentleness:
    """How long a statement may hold others up, how long it is tried again, and whether a table may be copied.

    `statement_timeout_ms` ends a statement that runs longer; 0 is never.
    """

    lock_timeout_ms: int = 800
    statement_timeout_ms: int = 0
    give_up_after_seconds: float = 600
    allow_copy: bool = False


class Manners(ABC):
    """One engine's way to be gentle."""

    @abstractmethod
    def before(self, sql: str, gentleness: Gentleness) -> list[str]:
        """The session settings under which a statement runs."""

    @abstractmethod
    def after(self) -> list[str]:
        """What puts the session back as it was."""

    def is_patient(self, sql: str) -> bool:
        """Whether the statement holds nobody up while it waits, so that it may wait as long as it is tried."""
        return False

    def refusal(self, problem: BaseException, sql: str) -> ConsentRequiredError | None:
        """The error that names the flag, where the server refused because the flag is missing."""
        return None

    def has_effect(self, problem: BaseException) -> bool:
        """Whether the server refused because what the statement makes, or takes away, is made or gone already."""
        return False

    def leftover(self, sql: str) -> Half | None:
        """What a statement of that kind may leave when it is ended halfway, and must be taken back before it runs."""
        return None

    def rest(self, sql: str) -> Half | None:
        """What a statement of that kind may leave undone when it is ended halfway, so that it can't run again whole."""
        return None


@dataclass(frozen=True)
class Half:
    """Half an effect: a query that finds it, with its parameters, and the statement that undoes or finishes it."""

    query: str
    parameters: dict[str, str]
    repair: str


class NoManners(Manners):
    """An engine with one writer at a time."""

    def before(self, sql: str, gentleness: Gentleness) -> list[str]:
        """Nothing to set."""
        return []

    def after(self) -> list[str]:
        """Nothing was set."""
        return []


class PostgreSQLManners(Manners):
    """lock_timeout and statement_timeout; an index that was not built to its end is dropped and built anew."""

    #: Their locks let reads and writes pass, and so does waiting for them.
    _PATIENT = re.compile(r"\bCONCURRENTLY\b|\bVALIDATE\s+CONSTRAINT\b", re.IGNORECASE)
    _BUILT_CONCURRENTLY = re.compile(
        r"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>\"[^\"]+\"|\w+)"
        r"\s+ON\s+(?:ONLY\s+)?(?P<table>(?:(?:\"[^\"]+\"|\w+)\.)?(?:\"[^\"]+\"|\w+))",
        re.IGNORECASE,
    )
    #: duplicate_table, duplicate_object, duplicate_column, duplicate_function, duplicate_schema; undefined ones.
    _EFFECTS = ("42P07", "42710", "42701", "42723", "42P06", "42P01", "42704", "42883", "3F000")

    def before(self, sql: str, gentleness: Gentleness) -> list[str]:
        """In milliseconds."""
        patience = round(gentleness.give_up_after_seconds * 1000)
        lock = patience if self.is_patient(sql) else gentleness.lock_timeout_ms
        return [f"SET lock_timeout = {lock}", f"SET statement_timeout = {gentleness.statement_timeout_ms}"]

    def after(self) -> list[str]:
        """RESET."""
        return ["RESET lock_timeout", "RESET statement_timeout"]

    def is_patient(self, sql: str) -> bool:
        """What is made concurrently, or only looked through."""
        return self._PATIENT.search(sql) is not None

    def has_effect(self, problem: BaseException) -> bool:
        """By SQLSTATE."""
        return getattr(problem, "sqlstate", None) in self._EFFECTS

    def leftover(self, sql: str) -> Half | None:
        """An invalid index."""
        found = self._BUILT_CONCURRENTLY.match(sql)
        if found is None:
            return None
        table, name = found["table"], found["name"]
        qualified = f"{table.rpartition('.')[0]}.{name}".lstrip(".")
        query = (
            "SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
            " WHERE i.indrelid = to_regclass(:table) AND i.indexrelid = to_regclass(:name) AND NOT i.indisvalid"
        )
        return Half(query, {"table": table, "name": qualified}, f"DROP INDEX CONCURRENTLY {qualified}")


class MySQLManners(Manners):
    """lock_wait_timeout, in whole seconds."""

    #: Table, trigger, procedure, event, partition, key or column exists; or is unknown, as a sequence or a view may be.
    _EFFECTS = (1050, 1060, 1061, 1826, 1359, 1304, 1537, 1517, 1051, 1091, 1360, 1305, 1539, 1507, 1146, 4091, 4092)
    _NOT_IN_PLACE = (1845, 1846)
    _DROPS_SEVERAL = re.compile(
        r"\s*DROP\s+(?P<kind>TABLE|VIEW|SEQUENCE)\s+(?:IF\s+EXISTS\s+)?(?P<names>[\w`$]+(?:\s*,\s*[\w`$]+)+)",
        re.IGNORECASE,
    )

    def before(self, sql: str, gentleness: Gentleness) -> list[str]:
        """How long it waits for the table's metadata lock."""
        return [f"SET SESSION lock_wait_timeout = {max(1, round(gentleness.lock_timeout_ms / 1000))}"]

    def after(self) -> list[str]:
        """The server's own settings."""
        return ["SET SESSION lock_wait_timeout = DEFAULT"]

    def refusal(self, problem: BaseException, sql: str) -> ConsentRequiredError | None:
        """Where the change can't be made in place."""
        if not problem.args or problem.args[0] not in self._NOT_IN_PLACE:
            return None
        return ConsentRequiredError(
            f"The server can't make this change in place, only by copying the table under a lock: {sql}",
            hint="Make it in a quiet hour with --allow-copy, or change the table with a tool that copies it online.",
        )

    def has_effect(self, problem: BaseException) -> bool:
        """By the error's number."""
        return bool(problem.args) and problem.args[0] in self._EFFECTS

    def rest(self, sql: str) -> Half | None:
        """Of several tables that one statement drops, those after the moment of its end."""
        found = self._DROPS_SEVERAL.match(sql)
        if found is None:
            return None
        names = {f"name{number}": name.strip(" `\n") for number, name in enumerate(found["names"].split(","))}
        listed = ", ".join(f":{key}" for key in names)
        query = f"SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN ({listed})"
        return Half(query, names, f"DROP {found['kind']} IF EXISTS {found['names']}")


class MariaDBManners(MySQLManners):
    """Besides: no algorithm that copies the table, and a limit for the statement."""

    def before(self, sql: str, gentleness: Gentleness) -> list[str]:
        """ALGORITHM=DEFAULT takes the gentlest that works; the setting keeps it from ending at COPY."""
        algorithm = "DEFAULT" if gentleness.allow_copy else "INPLACE"
        return [
            *super().before(sql, gentleness),
            f"SET SESSION alter_algorithm = '{algorithm}'",
            f"SET SESSION max_statement_time = {gentleness.statement_timeout_ms / 1000:g}",
        ]

    def after(self) -> list[str]:
        """The server's own settings."""
        return [*super().after(), "SET SESSION alter_algorithm = DEFAULT", "SET SESSION max_statement_time = DEFAULT"]


def send(cursor: Any, statements: list[str]) -> None:
    """Runs session settings one by one."""
    for sql in statements:
        cursor.execute(sql)
