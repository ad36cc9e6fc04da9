"""Archive files: one compressed file a batch, durable before anything is deleted, listed in a manifest.

A file appears under its name only once it is whole and on the disk. What the files hold is not this module's business.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import zstandard

from chatctl.errors import ChatctlError, DiskFullError, IntegrityError, NotFoundError, ReadOnlyError
from chatctl.observe.fail_points import fail_point

MANIFEST = "manifest.jsonl"

_LEVEL = 3
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class ArchiveFile:
    """One file: its name in the folder (`RUN/000001.jsonl.zst`), its size, and its checksum."""

    name: str
    lines: int
    bytes: int
    sha256: str


class ArchiveFolder:
    """The folder at `path`, which is made when the first archive is."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, run_id: str, number: int, lines: Iterable[str], *, again: bool = False) -> ArchiveFile:
        """Writes the archive of one batch; once it returns, the file and its line in the manifest are durable.

        A file that an unfinished try left under that name is replaced; with `again` the archive gets a name of its
        own, and the earlier one stays. Raises DiskFullError, ReadOnlyError.
        """
        version = f"-{secrets.token_hex(4)}" if again else ""
        name = f"{run_id}/{number:06d}{version}.jsonl.zst"
        path = self.path / name
        with self._translating(path):
            _make_folder(self.path)
            _make_folder(path.parent)
            count = self._write_file(path, lines)
            content = ArchiveFile(name, count, path.stat().st_size, _sha256(path))
            self._list(path.parent, content)
        return content

    def read(self, name: str, sha256: str) -> Iterator[str]:
        """The lines of an archive, once its checksum is found right. Raises NotFoundError, IntegrityError."""
        self.verify(name, sha256)
        with self._translating(self.path / name), (self.path / name).open("rb") as file:
            yield from _decompressed(file, name)

    def verify(self, name: str, sha256: str) -> None:
        """Raises NotFoundError where the file isn't there, IntegrityError where it isn't what was written."""
        path = self.path / name
        if not path.is_file():
            raise NotFoundError(
                f"The archive {path} isn't there.", hint="Bring the file back from a backup, then try again."
            )
        with self._translating(path):
            if _sha256(path) != sha256:
                raise IntegrityError(
                    f"The archive {path} is damaged: its checksum isn't the one that was recorded.",
                    hint="Nothing was taken from it. Bring the file back from a backup, then try again.",
                )

    def unlisted(self, known: Iterable[str]) -> list[str]:
        """Archives in the folder, whole or not, that are none of `known`."""
        names = set(known)
        files = [path for pattern in ("*/*.jsonl.zst", "*/.*.tmp") for path in self.path.glob(pattern)]
        found = (str(path.relative_to(self.path)) for path in files)
        return sorted(name for name in found if name not in names)

    def remove(self, name: str) -> None:
        """Removes an archive. Safe to repeat."""
        path = self.path / name
        with self._translating(path):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                _sync_folder(path.parent)

    def _write_file(self, path: Path, lines: Iterable[str]) -> int:
        temporary = path.with_name(f".{path.name}.tmp")
        fail_point("archive.before-write")
        try:
            with _open_private(temporary, "wb") as file:
                count = _compress(file, lines)
                fail_point("archive.before-fsync")
                file.flush()
                os.fsync(file.fileno())
                fail_point("archive.after-fsync")
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fail_point("archive.after-rename")
        _sync_folder(path.parent)
        return count

    def _list(self, folder: Path, content: ArchiveFile) -> None:
        with _open_private(folder / MANIFEST, "ab") as file:
            # A kill may have left half a line: it ends here, and nobody takes it for a part of this one.
            if file.tell() and not _ends_with_newline(folder / MANIFEST):
                file.write(b"\n")
            file.write(json.dumps(content.__dict__).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(folder)
        fail_point("archive.listed")

    @contextmanager
    def _translating(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise _named(problem, path) from problem


def _compress(file: BinaryIO, lines: Iterable[str]) -> int:
    count = 0
    with zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(file, closefd=False) as writer:
        for line in lines:
            writer.write(line.encode(errors="surrogatepass") + b"\n")
            count += 1
    return count


def _decompressed(file: BinaryIO, name: str) -> Iterator[str]:
    try:
        reader: Any = zstandard.ZstdDecompressor().stream_reader(file)
        yield from (line.rstrip("\n") for line in io.TextIOWrapper(reader, "utf-8", "surrogatepass", newline="\n"))
    except (zstandard.ZstdError, UnicodeDecodeError) as problem:
        raise IntegrityError(f"The archive {name} can't be read: {problem}.") from problem


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _open_private(path: Path, mode: Literal["wb", "ab"]) -> BinaryIO:
    start = os.O_TRUNC if mode == "wb" else os.O_APPEND
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | start, 0o600), mode)


def _ends_with_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _named(problem: OSError, path: Path) -> ChatctlError:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"The archive {path} can't be written: no space is left. Nothing of its batch was deleted."
        )
    return ReadOnlyError(f"The archive {path}: {problem.strerror}.", hint="purge.archive_folder names another folder.")
