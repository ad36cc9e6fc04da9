"""What a backup repository does. Every method takes names of `chatctl.domain.backups` and nothing that leads out."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from chatctl.domain.backups import is_backup_id, is_file_name
from chatctl.errors import DiskFullError, NoPrivilegeError, NotFoundError, ReadOnlyError, RefusedError

MANIFEST = "manifest.json"
#: What the last drill found; written after the backup, and no part of it.
DRILL = "drill.json"
NOTES = (MANIFEST, DRILL)

#: No manifest is larger: a larger file is none, and isn't read into memory.
MOST_MANIFEST_BYTES = 64 * 1024 * 1024


class Draft(ABC):
    """A backup that is being made. Without `commit` its files are removed at the end of the block."""

    id: str
    #: Where its files are put, below their names.
    folder: Path

    @abstractmethod
    def commit(self, manifest: bytes) -> None:
        """Makes the files durable, then the manifest, which makes them a backup."""


class Repository(ABC):
    """Backups by their IDs. Errors are chatctl's: NotFoundError, RefusedError, DiskFullError, CannotConnectError."""

    #: Where it is, for messages; without a password.
    where: str

    @abstractmethod
    def ids(self) -> list[str]:
        """Every backup, finished or not, oldest first."""

    @abstractmethod
    def begin(self, backup_id: str) -> AbstractContextManager[Draft]:
        """A new backup; raises FileExistsError where there is one of that ID."""

    @abstractmethod
    def names(self, backup_id: str) -> set[str]:
        """Every file that lies there, by name, the notes left out."""

    @abstractmethod
    def size(self, backup_id: str, name: str) -> int:
        """A file's size in bytes; raises NotFoundError where there is no such regular file."""

    @abstractmethod
    def reading(self, backup_id: str, name: str) -> AbstractContextManager[BinaryIO]:
        """A file's bytes; raises NotFoundError where there is no such regular file."""

    def local(self, backup_id: str) -> Path | None:
        """The backup's folder, where it is on this machine."""
        return None

    @abstractmethod
    def write_note(self, backup_id: str, name: str, data: bytes) -> None:
        """Writes one of `NOTES` whole or not at all, in the place of an older one."""

    @abstractmethod
    def remove(self, backup_id: str) -> None:
        """Removes a backup, its manifest first: what a kill leaves is no backup any more."""

    def read_note(self, backup_id: str, name: str) -> bytes | None:
        """One of `NOTES`; None where it isn't there."""
        try:
            if self.size(backup_id, name) > MOST_MANIFEST_BYTES:
                raise RefusedError(f"{name} of backup {backup_id} is too large to be one.")
            with self.reading(backup_id, name) as stream:
                return stream.read(MOST_MANIFEST_BYTES)
        except NotFoundError:
            return None


def require_names(backup_id: str, name: str | None = None) -> None:
    """Raises NotFoundError where a name isn't one that chatctl gives: it might lead anywhere."""
    if not is_backup_id(backup_id):
        raise NotFoundError(f"'{backup_id}' is no backup's ID.", hint="chatctl backup list shows them.")
    if name is not None and not is_file_name(name):
        raise NotFoundError(f"'{name}' is no file of a backup.")


@contextmanager
def translating(where: str) -> Iterator[None]:
    """Raises the operating system's errors as chatctl's."""
    try:
        yield
    except FileExistsError:
        raise
    except FileNotFoundError as problem:
        raise NotFoundError(f"{where}: there is no such file.") from problem
    except PermissionError as problem:
        raise NoPrivilegeError(f"{where}: the repository can't be used: {problem.strerror or problem}.") from problem
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"{where}: no space is left.", hint="Free some space (chatctl backup prune), then run it again."
            ) from problem
        if problem.errno == errno.EROFS:
            raise ReadOnlyError(f"{where}: the file system is read-only.") from problem
        raise RefusedError(f"{where}: {problem.strerror or problem}.") from problem
