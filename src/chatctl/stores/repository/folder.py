"""Backups in a folder of this machine. Files are 0600 and folders 0700 under any umask; symbolic links are no files."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from chatctl.domain.backups import is_backup_id
from chatctl.errors import NotFoundError
from chatctl.observe.fail_points import fail_point
from chatctl.stores.repository.base import MANIFEST, NOTES, Draft, Repository, require_names, translating

FOLDER_MODE, FILE_MODE = 0o700, 0o600


class FolderRepository(Repository):
    """The backups below `folder`, which is made with the first of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.where = str(folder)

    def ids(self) -> list[str]:
        """Every folder that is named like a backup."""
        with translating(self.where):
            if not self._folder.is_dir():
                return []
            with os.scandir(self._folder) as entries:
                return sorted(e.name for e in entries if is_backup_id(e.name) and e.is_dir(follow_symlinks=False))

    @contextmanager
    def begin(self, backup_id: str) -> Iterator[Draft]:
        """A folder of its own, made exclusively."""
        require_names(backup_id)
        with translating(self.where):
            self._folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
            folder = self._folder / backup_id
            folder.mkdir(mode=FOLDER_MODE)
            draft = _FolderDraft(backup_id, folder)
            try:
                folder.chmod(FOLDER_MODE)
                yield draft
            finally:
                if not draft.committed:
                    shutil.rmtree(folder, ignore_errors=True)

    def names(self, backup_id: str) -> set[str]:
        """Every file below the backup's folder, links too: whoever compares them must see them."""
        require_names(backup_id)
        root = self._folder / backup_id
        with translating(self.where):
            found = {str(Path(folder, name).relative_to(root)) for folder, _, files in os.walk(root) for name in files}
        return found - set(NOTES)

    def size(self, backup_id: str, name: str) -> int:
        """By lstat."""
        with translating(self.where):
            return self._require(backup_id, name).lstat().st_size

    @contextmanager
    def reading(self, backup_id: str, name: str) -> Iterator[BinaryIO]:
        """The open file, if it is a regular one in its own place."""
        with translating(self.where):
            path = self._require(backup_id, name)
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
                yield stream

    def local(self, backup_id: str) -> Path | None:
        """Its own folder."""
        require_names(backup_id)
        return (self._folder / backup_id).absolute()

    def write_note(self, backup_id: str, name: str, data: bytes) -> None:
        """By a temporary file, synced and renamed."""
        require_names(backup_id, name)
        with translating(self.where):
            write_whole(self._folder / backup_id / name, data)

    def remove(self, backup_id: str) -> None:
        """The manifest, then everything."""
        require_names(backup_id)
        folder = self._folder / backup_id
        with translating(self.where):
            with suppress(FileNotFoundError):
                (folder / MANIFEST).unlink()
            sync_folder(folder)
            fail_point("backup.prune.manifest_gone")
            shutil.rmtree(folder)

    def _require(self, backup_id: str, name: str) -> Path:
        require_names(backup_id, name)
        path = self._folder / backup_id / name
        # A link anywhere below the repository would lead to bytes that no backup wrote.
        if path.resolve() != self._folder.resolve() / backup_id / name or not stat.S_ISREG(path.lstat().st_mode):
            raise NotFoundError(f"{path} is no regular file.")
        return path


class _FolderDraft(Draft):
    def __init__(self, backup_id: str, folder: Path) -> None:
        self.id = backup_id
        self.folder = folder
        self.committed = False

    def commit(self, manifest: bytes) -> None:
        for folder, _, files in os.walk(self.folder, topdown=False):
            for name in files:
                sync_file(Path(folder, name))
                fail_point("backup.file_synced")
            Path(folder).chmod(FOLDER_MODE)
            sync_folder(Path(folder))
        fail_point("backup.before_manifest")
        write_whole(self.folder / MANIFEST, manifest)
        self.committed = True
        sync_folder(self.folder.parent)
        fail_point("backup.after_manifest")


def sync_file(path: Path) -> None:
    """Gives the file its mode, and makes its bytes survive a power cut."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchmod(handle, FILE_MODE)
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """The file appears whole, or what stood there stays."""
    hidden = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb") as file:
            os.fchmod(file.fileno(), FILE_MODE)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fail_point("backup.note_synced")
        hidden.replace(path)
        sync_folder(path.parent)
    finally:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)
