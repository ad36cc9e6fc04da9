"""Backups behind any fsspec URL (S3 and others). A backup is made on this machine and sent when it is whole.

Object stores write an object whole or not at all; the manifest is the last one, as in a folder.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from chatctl.domain.backups import is_backup_id
from chatctl.errors import CannotConnectError, ChatctlError, ConfigurationError, MissingExtraError, NotFoundError
from chatctl.observe.fail_points import fail_point
from chatctl.observe.masking import mask
from chatctl.stores.repository.base import MANIFEST, NOTES, Draft, Repository, require_names
from chatctl.stores.repository.base import translating as translating_files


class RemoteRepository(Repository):
    """The backups below the URL `url`. Raises MissingExtraError where fsspec, or the URL's driver, isn't installed."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec  # type: ignore[import-untyped]  # it ships no types
        except ImportError:
            raise MissingExtraError("backup", "A backup store that is a URL") from None
        self.where = mask(url.partition("?")[0])
        try:
            found = fsspec.core.url_to_fs(url)
        except ImportError as problem:
            raise ConfigurationError(
                f"backup.store: {problem}", hint="Install the fsspec driver of that kind of store."
            ) from problem
        except ValueError as problem:
            raise ConfigurationError(f"backup.store: {mask(str(problem))}") from None
        # fsspec is not annotated.
        self._files: Any = found[0]
        self._root = str(found[1]).rstrip("/")

    def ids(self) -> list[str]:
        """Every name below the root that is a backup's."""
        with self._translating():
            self._files.invalidate_cache()
            if not self._files.exists(self._root):
                return []
            listed = [str(path).rstrip("/").rpartition("/")[2] for path in self._files.ls(self._root, detail=False)]
        return sorted(name for name in listed if is_backup_id(name))

    @contextmanager
    def begin(self, backup_id: str) -> Iterator[Draft]:
        """A temporary folder, sent by `commit`."""
        require_names(backup_id)
        if backup_id in self.ids():
            raise FileExistsError(backup_id)
        with translating_files("the temporary folder"):
            folder = Path(tempfile.mkdtemp(prefix="chatctl-backup-"))
        draft = _RemoteDraft(self, backup_id, folder)
        try:
            yield draft
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if draft.sent and not draft.committed:
                self.remove(backup_id)

    def names(self, backup_id: str) -> set[str]:
        """Every object below the backup's name."""
        base = self._path(backup_id)
        with self._translating():
            self._files.invalidate_cache()
            found = {str(path)[len(base) :].strip("/") for path in self._files.find(base)}
        return found - set(NOTES)

    def size(self, backup_id: str, name: str) -> int:
        """As the store tells it."""
        with self._translating():
            self._files.invalidate_cache()
            found = self._files.info(self._path(backup_id, name))
        if found["type"] != "file" or found.get("islink"):
            raise NotFoundError(f"{self.where}/{backup_id}/{name} is no file.")
        return int(found["size"])

    @contextmanager
    def reading(self, backup_id: str, name: str) -> Iterator[BinaryIO]:
        """The object as a stream."""
        with self._translating(), self._files.open(self._path(backup_id, name), "rb") as stream:
            yield cast(BinaryIO, stream)

    def write_note(self, backup_id: str, name: str, data: bytes) -> None:
        """One object."""
        with self._translating():
            self._files.pipe_file(self._path(backup_id, name), data)

    def remove(self, backup_id: str) -> None:
        """The manifest, then everything."""
        base = self._path(backup_id)
        with self._translating():
            self._files.invalidate_cache()
            if self._files.exists(f"{base}/{MANIFEST}"):
                self._files.rm_file(f"{base}/{MANIFEST}")
            fail_point("backup.prune.manifest_gone")
            self._files.rm(base, recursive=True)

    def send(self, backup_id: str, name: str, path: Path) -> None:
        """Copies a local file to its place, and asks the store how much of it arrived."""
        place = self._path(backup_id, name)
        with self._translating():
            self._files.makedirs(place.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(path), place)
        if self.size(backup_id, name) != path.stat().st_size:
            raise CannotConnectError(f"{self.where}: {name} didn't arrive whole.")

    def _path(self, backup_id: str, name: str | None = None) -> str:
        require_names(backup_id, name)
        return "/".join(part for part in (self._root, backup_id, name) if part)

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            with translating_files(self.where):
                yield
        except (ChatctlError, FileExistsError, KeyboardInterrupt):
            raise
        except Exception as problem:
            # Each kind of store has errors of its own, of no common family.
            raise CannotConnectError(f"{self.where}: {mask(str(problem)) or type(problem).__name__}") from problem


class _RemoteDraft(Draft):
    def __init__(self, repository: RemoteRepository, backup_id: str, folder: Path) -> None:
        self._repository = repository
        self.id = backup_id
        self.folder = folder
        self.sent = False
        self.committed = False

    def commit(self, manifest: bytes) -> None:
        self.sent = True
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                self._repository.send(self.id, str(path.relative_to(self.folder)), path)
                fail_point("backup.file_synced")
        fail_point("backup.before_manifest")
        self._repository.write_note(self.id, MANIFEST, manifest)
        self.committed = True
        fail_point("backup.after_manifest")
