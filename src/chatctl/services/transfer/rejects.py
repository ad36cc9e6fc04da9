"""Rows that didn't fit, and the file that keeps them with their reasons."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chatctl.errors import UsageError
from chatctl.services.transfer.formats import STANDARD
from chatctl.services.transfer.output import file_errors, sync_folder


@dataclass(frozen=True)
class Reject:
    """A record that was not taken: where it stands (its first line, from 1), why, and its text."""

    file: str
    line: int
    reason: str
    raw: str


def reject_path(files: Sequence[str], chosen: str | None = None) -> Path:
    """Where the rejects of an import of `files` go: the chosen file, or one in the current folder.

    Raises UsageError where that is one of the files that are read.
    """
    first = "stdin" if files[0] == STANDARD else Path(files[0]).name
    path = Path(chosen or f"{first}.rejects.jsonl")
    if path.resolve() in {Path(file).resolve() for file in files if file != STANDARD}:
        raise UsageError(f"'{path}' is read by this import, so rejects can't go there.", hint="Name another --rejects.")
    return path


class RejectFile:
    """A file of JSON lines (file, line, reason, raw) that appears with its first reject.

    `length` is what the journal keeps: opened again with it, the file is cut back to what was committed, so that a
    resumed import writes each reject once.
    """

    def __init__(self, path: Path, length: int = 0) -> None:
        self.path = path
        self.length = length
        self._file: int | None = None

    def append(self, rejects: Sequence[Reject]) -> int:
        """Writes `rejects` to the disk and returns the file's length in bytes; nothing happens for none.

        Raises DiskFullError or RefusedError.
        """
        if rejects:
            lines = "".join(_line(reject) for reject in rejects).encode()
            with file_errors(self.path):
                self._write(self._open(), memoryview(lines))
            self.length += len(lines)
        return self.length

    def _write(self, file: int, data: memoryview) -> None:
        try:
            while data:
                data = data[os.write(file, data) :]
            os.fsync(file)
        except OSError:
            os.ftruncate(file, self.length)
            raise

    def _open(self) -> int:
        if self._file is None:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            # A file that lost lines since can't be made whole; what is written now still goes behind the rest.
            self.length = min(self.length, os.fstat(self._file).st_size)
            os.ftruncate(self._file, self.length)
            sync_folder(self.path.parent)
        return self._file

    def close(self) -> None:
        """Closes the file; `append` opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _line(reject: Reject) -> str:
    record = {"file": reject.file, "line": reject.line, "reason": reject.reason, "raw": reject.raw}
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    return (text if _encodable(text) else json.dumps(record, separators=(",", ":"))) + "\n"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
