"""Every error that chatctl raises on purpose.

An error has a name (`code`), a message, a hint that says what to do next, and a page of the docs. It knows no
exit code: `chatctl.cli.exit_codes` holds the one table from error to code. A class's docstring is its default
message. Standard library only.
"""

from __future__ import annotations

import re
from typing import ClassVar


class ChatctlError(Exception):
    """Something went wrong."""

    #: A default hint, where every instance of the class has the same one.
    default_hint: ClassVar[str | None] = None

    def __init__(self, message: str | None = None, *, hint: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.hint = hint or self.default_hint
        super().__init__(self.message)

    @property
    def code(self) -> str:
        """The error's stable name in snake_case, as it stands in JSON: `no_privilege`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__.removesuffix("Error")).lower()

    @property
    def docs(self) -> str:
        """The page of the docs that explains the error, relative to the documentation's root."""
        return f"errors.md#{self.code.replace('_', '-')}"


class UnexpectedError(ChatctlError):
    """Something happened that chatctl didn't foresee: a bug in chatctl, or in something below it."""

    default_hint = "Run it again with --verbose to see where it came from."


# --- what was asked for -------------------------------------------------------------------------------------


class UsageError(ChatctlError):
    """The command was not understood."""


class ConsentRequiredError(UsageError):
    """This changes data and nobody said yes."""


class InvalidIdError(UsageError):
    """This is no session ID."""


class InputFileError(UsageError):
    """The file can't be read as what it was given for."""


class NotFoundError(ChatctlError):
    """No such thing."""


# --- what was configured ------------------------------------------------------------------------------------


class ConfigurationError(ChatctlError):
    """The configuration can't be used."""


class LayoutError(ConfigurationError):
    """The layout file can't be used."""


class MissingEntityError(LayoutError):
    """The layout or the database lacks a table or column that this command needs."""


class UnrecognisedDatabaseError(LayoutError):
    """The database is in no state that the layout declares."""


class MissingExtraError(ConfigurationError):
    """An optional part of chatctl isn't installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs the extra '{extra}', which isn't installed.",
            hint=f"pip install 'chatctl[{extra}]'",
        )


class MissingToolError(ConfigurationError):
    """A program that this command drives isn't installed."""


class JournalTooNewError(ConfigurationError):
    """The journal was written by a newer chatctl."""

    default_hint = "Use the chatctl version that wrote it, or a newer one."


class RevisionError(ConfigurationError):
    """The chain of revisions can't be used."""


# --- servers ------------------------------------------------------------------------------------------------


class CannotConnectError(ChatctlError):
    """The server can't be reached."""


class AccessDeniedError(CannotConnectError):
    """The server refused the user name or the password."""


class ConnectionLostError(CannotConnectError):
    """The connection was lost."""

    default_hint = "Run the same command again: it goes on where it stopped."


class ModelError(CannotConnectError):
    """The language model gave no answer."""

    default_hint = "Check model.url and model.key, and that the model's server is running."


class BreakerOpenError(ModelError):
    """A circuit breaker is open: calls are refused until the server behind it has had time to recover."""


class RefusedError(ChatctlError):
    """The server refused the operation."""


class AccessRefusedError(ChatctlError):
    """The user may not enter the project."""


class NoPrivilegeError(RefusedError):
    """The account lacks a privilege."""


class PermissionSourceError(CannotConnectError):
    """The permission database gave no answer."""

    default_hint = "Nobody is let in while it doesn't answer. Check permissions.database, then try again."


class ReadOnlyError(RefusedError):
    """The database is read-only."""


class DiskFullError(RefusedError):
    """No space is left."""

    default_hint = "Free some space and run the same command again: it goes on where it stopped."


class DatabaseError(ChatctlError):
    """The database answered with an error."""


class RetryableError(DatabaseError):
    """A deadlock, a lock wait or a timeout: the same batch may pass when it is tried again."""


class RowRefusedError(DatabaseError):
    """The database refused a row: a constraint, a type or a length."""


class RepeatedKeyError(RowRefusedError):
    """A row with this key is there already."""


# --- runs ---------------------------------------------------------------------------------------------------


class LockedError(ChatctlError):
    """Another run holds the lock."""


class InTheWayError(LockedError):
    """Somebody's transaction kept a change from its lock for as long as the command may wait."""


class UnfinishedRunError(LockedError):
    """Another run is unfinished."""


class LeaseLostError(LockedError):
    """This worker's lease was taken over by another one."""


class StalePlanError(ChatctlError):
    """The plan no longer fits the database."""

    default_hint = "Make a new plan, look at it, and apply that one."


class IntegrityError(ChatctlError):
    """A result is not what it must be."""


class GuardError(IntegrityError):
    """A check before a migration found something that the migration would harm."""


class NoWayBackError(IntegrityError):
    """A step can't be undone, and no backup is there to go back to."""


class EditedRevisionError(IntegrityError):
    """A revision was changed after it was applied."""

    default_hint = "Put it back as it was, and make the change in a revision of its own."


class BrokenChainError(IntegrityError):
    """The chain of revisions is broken."""

    default_hint = "Mend the files that are named; chatctl migrate lint shows them all."


class StoppedEarlyError(ChatctlError):
    """Stopped by a time window, a time limit or a throttle before the work was done."""


class InterruptedRunError(ChatctlError):
    """Interrupted; what was committed stays."""
