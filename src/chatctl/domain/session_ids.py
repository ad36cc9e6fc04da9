"""Session and message IDs as values: parse, print, validate, order. Standard library only.

A general session is `G-yyyyMM-nnnnnn` (the month in UTC), a project's is `P-{project}-nnnnnn`, an old one a UUID.
Numbers count from 1 in each *scope* (a month or a project), have six digits at least, grow a digit past 999999
and end at the largest 64-bit integer. What `parse_session` accepts is exactly what `str()` prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import total_ordering
from typing import Any

from chatctl.errors import InvalidIdError

#: The largest number that Redis can count to.
MAX_NUMBER = 2**63 - 1

SESSION_DIGITS = 6
MESSAGE_DIGITS = 3
MAX_PROJECT_LENGTH = 64

# [0-9], not \d: a digit of another script is no digit of an ID.
_GENERAL = re.compile(r"G-([0-9]{6})-([0-9]+)")
_PROJECT = re.compile(r"P-(.*)-([0-9]+)", re.DOTALL)
_MESSAGE = re.compile(r"S-(.+)-M-([0-9]+)", re.DOTALL)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# No colon, so that a Redis key names one project only; no blank, no wildcard, no brace.
_PROJECT_NAME = re.compile(r"[0-9A-Za-z_](?:[0-9A-Za-z_.-]*[0-9A-Za-z_])?")


@dataclass(frozen=True, order=True)
class Month:
    """A month of the calendar, in UTC: the scope of general sessions."""

    year: int
    month: int

    @classmethod
    def at(cls, moment: datetime) -> Month:
        """The month of `moment` (aware) in UTC."""
        utc = moment.astimezone(UTC)
        return cls(utc.year, utc.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Reads `202512`; raises InvalidIdError."""
        if re.fullmatch(r"[0-9]{6}", text) is None:
            raise InvalidIdError(f"Expected a month as yyyyMM, found '{text}'.")
        year, month = int(text[:4]), int(text[4:])
        if year < 1 or not 1 <= month <= 12:
            raise InvalidIdError(f"There is no month {text}.")
        return cls(year, month)

    def __str__(self) -> str:
        return f"{self.year:04d}{self.month:02d}"


@dataclass(frozen=True)
class Scope:
    """What one counter counts: the general sessions of a month, or the sessions of a project.

    Exactly one of the two is given.
    """

    month: Month | None = None
    project: str | None = None

    @classmethod
    def general(cls, month: Month) -> Scope:
        """The scope of the general sessions of `month`."""
        return cls(month=month)

    @classmethod
    def of_project(cls, project: str) -> Scope:
        """The scope of a project's sessions; raises InvalidIdError for a project that no ID can hold."""
        reason = why_no_project(project)
        if reason:
            raise InvalidIdError(reason)
        return cls(project=project)

    @property
    def kind(self) -> str:
        """`general` or `project`, as `chat_type` has it."""
        return "general" if self.month else "project"

    @property
    def prefix(self) -> str:
        """What every ID of the scope begins with, up to its number."""
        return f"G-{self.month}-" if self.month else f"P-{self.project}-"

    @property
    def name(self) -> str:
        """`general:202512` or `project:AB-CD`: unique, for tables and hash tags."""
        return f"{self.kind}:{self.month or self.project}"

    def id(self, number: int) -> SessionId:
        """The ID number `number` of the scope."""
        return SessionId(self, number)

    @property
    def sort_key(self) -> tuple[Any, ...]:
        """Months in order, then projects: numbered ones by number, the others by name."""
        if self.month:
            return (0, self.month.year, self.month.month, "")
        project = self.project or ""
        numeric = int(project) if re.fullmatch(r"[0-9]+", project) else MAX_NUMBER
        return (1, numeric, 0, project)


@total_ordering
@dataclass(frozen=True)
class SessionId:
    """One session's ID: a number in a scope."""

    scope: Scope
    number: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= MAX_NUMBER:
            raise InvalidIdError(f"A session's number is between 1 and {MAX_NUMBER}, not {self.number}.")

    def __str__(self) -> str:
        return f"{self.scope.prefix}{self.number:0{SESSION_DIGITS}d}"

    def __lt__(self, other: SessionId) -> bool:
        return (self.scope.sort_key, self.number) < (other.scope.sort_key, other.number)


@dataclass(frozen=True, order=True)
class LegacyId:
    """The UUID of a session older than numbered IDs; its letters keep their case."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class MessageId:
    """One message's ID: a number, from 1, in a session."""

    session: SessionId | LegacyId
    number: int

    def __str__(self) -> str:
        return f"S-{self.session}-M-{self.number:0{MESSAGE_DIGITS}d}"


def highest_numbers(ids: Iterable[str]) -> dict[str, int]:
    """The highest number among these IDs, by the name of its scope; what is no numbered session's ID doesn't count."""
    highest: dict[str, int] = {}
    for text in ids:
        try:
            session = parse_session(text)
        except InvalidIdError:
            continue
        if isinstance(session, SessionId):
            name = session.scope.name
            highest[name] = max(session.number, highest.get(name, 0))
    return highest


def parse_session(text: str) -> SessionId | LegacyId:
    """The session ID that `text` is; raises InvalidIdError saying what is wrong with it."""
    if _UUID.fullmatch(text):
        return LegacyId(text)
    if _MESSAGE.fullmatch(text):
        raise InvalidIdError(f"'{text}' is a message ID, not a session ID.")
    if text.startswith("G-"):
        return _general(text)
    if text.startswith("P-"):
        return _project(text)
    raise InvalidIdError(f"'{text}' is no session ID: expected G-yyyyMM-nnnnnn, P-project-nnnnnn or a UUID.")


def parse_scope_name(text: str) -> Scope:
    """The scope whose name is `text` (`general:202512`); raises InvalidIdError."""
    kind, _, rest = text.partition(":")
    if kind == "general":
        return Scope.general(Month.parse(rest))
    if kind == "project":
        return Scope.of_project(rest)
    raise InvalidIdError(f"'{text}' is no scope: expected general:yyyyMM or project:ID.")


def parse_scope(text: str) -> Scope:
    """The scope that a user means by `general:202512`, `project:AB-CD`, `G-202512`, `P-AB-CD` or any session's ID."""
    if ":" in text:
        return parse_scope_name(text)
    try:
        session = parse_session(text)
    except InvalidIdError:
        kinds = {"G-": "general", "P-": "project"}
        return parse_scope_name(f"{kinds.get(text[:2], text)}:{text[2:]}")
    if isinstance(session, LegacyId):
        raise InvalidIdError(f"'{text}' is a UUID, which no counter issued.")
    return session.scope


def parse_message(text: str) -> MessageId:
    """The message ID that `text` is; raises InvalidIdError saying what is wrong with it."""
    match = _MESSAGE.fullmatch(text)
    if match is None:
        raise InvalidIdError(f"'{text}' is no message ID: expected S-session-M-nnn.")
    return MessageId(parse_session(match[1]), _number(match[2], MESSAGE_DIGITS))


def kind_of(text: str) -> str | None:
    """`general`, `project`, `uuid` or `message` where `text` at least looks like one, valid or not."""
    if _UUID.fullmatch(text):
        return "uuid"
    if _MESSAGE.fullmatch(text):
        return "message"
    return {"G-": "general", "P-": "project"}.get(text[:2])


def why_no_project(project: str) -> str | None:
    """Why `project` can't stand in a session ID, or None where it can."""
    if not project:
        return "The project is missing."
    if len(project) > MAX_PROJECT_LENGTH:
        return f"A project has at most {MAX_PROJECT_LENGTH} characters."
    if _PROJECT_NAME.fullmatch(project) is None:
        return (
            f"'{project}' is no project: expected ASCII letters, digits, '_', '.' and '-', "
            "with neither '.' nor '-' at an end."
        )
    return None


def _general(text: str) -> SessionId:
    match = _GENERAL.fullmatch(text)
    if match is None:
        raise InvalidIdError(f"'{text}' is no general session: expected G-yyyyMM-nnnnnn.")
    return SessionId(Scope.general(Month.parse(match[1])), _number(match[2], SESSION_DIGITS))


def _project(text: str) -> SessionId:
    match = _PROJECT.fullmatch(text)
    if match is None:
        raise InvalidIdError(f"'{text}' is no project session: expected P-project-nnnnnn.")
    return SessionId(Scope.of_project(match[1]), _number(match[2], SESSION_DIGITS))


def _number(digits: str, least: int) -> int:
    if len(digits) < least:
        raise InvalidIdError(f"A number has {least} digits at least, not {len(digits)}: '{digits}'.")
    if len(digits) > least and digits.startswith("0"):
        raise InvalidIdError(f"A number of more than {least} digits has no leading zero: '{digits}'.")
    # The length is looked at first: int() refuses very long texts with an error of its own.
    if len(digits) > len(str(MAX_NUMBER)) or not 1 <= int(digits) <= MAX_NUMBER:
        raise InvalidIdError(f"A number is between 1 and {MAX_NUMBER}, not '{digits[:30]}'.")
    return int(digits)
