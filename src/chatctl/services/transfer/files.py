"""Input files as streams of plain bytes: opened, recognised, unpacked, and skipped through on resume.

Nothing here knows lines or rows.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import zlib
from typing import BinaryIO, Protocol, cast

import zstandard

from chatctl.errors import InputFileError, StalePlanError
from chatctl.services.transfer.formats import STANDARD, Compression, compression_by_magic
from chatctl.services.transfer.output import file_errors

#: As much of a file's beginning as its identity covers.
_HEAD_BYTES = 64 * 1024
_SKIP_BYTES = 1024 * 1024
#: The unpacked size of what is fed to zstd at once has no other bound; of 2 KiB it is 64 MiB at the very worst.
_ZSTD_FEED_BYTES = 2 * 1024
_ZSTD_MOST_WINDOW = 128 * 1024 * 1024
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class ByteSource(Protocol):
    """What unpacked bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...

    def close(self) -> None:
        """Lets go of the file."""
        ...


class InputFile:
    """One file of an import, or standard input for `-`.

    `head` is the beginning of its bytes as they lie in the file.
    """

    head: bytes

    def __init__(self, name: str, stdin: BinaryIO | None = None) -> None:
        """Looks at the file's beginning; raises NotFoundError, RefusedError, or InputFileError where it's no text."""
        self.name = name
        self._stream: _Pushback | None = None
        self._stat = "stream"
        with file_errors(name):
            if name == STANDARD:
                self._stream = _Pushback(stdin or io.FileIO(0, closefd=False), owned=False)
            else:
                file = io.FileIO(name)
                status = os.fstat(file.fileno())
                if stat.S_ISREG(status.st_mode):
                    with file:
                        self.head = _read_fully(file, _HEAD_BYTES)
                    self._stat = f"{status.st_size}:{status.st_mtime_ns}"
                else:
                    self._stream = _Pushback(file, owned=True)
        if self._stream is not None:
            self.head = self._stream.head
        self.compression = compression_by_magic(self.head)
        if self.head.startswith(_UTF16):
            raise InputFileError(f"'{name}' is UTF-16.", hint="iconv -f UTF-16 -t UTF-8 makes UTF-8 of it.")

    @property
    def is_stream(self) -> bool:
        """Whether its bytes come once, and when they like."""
        return self._stream is not None

    @property
    def identity(self) -> str:
        """Size, time of last change and the hash of the first 64 KiB: other text when the file is another one."""
        return f"{self._stat}:{hashlib.sha256(self.head).hexdigest()}"

    def open(self) -> ByteSource:
        """The file's unpacked bytes from the beginning; a stream (standard input, a pipe) can be opened once."""
        with file_errors(self.name):
            raw: ByteSource = self._stream or io.FileIO(self.name)
        if self.compression is Compression.NONE:
            return raw
        return _Unpacked(self.name, raw, self.compression)


def identity(file: str) -> str:
    """The identity of `file`, see InputFile; raises NotFoundError or RefusedError."""
    return InputFile(file).identity


def skip(name: str, source: ByteSource, count: int) -> None:
    """Moves `source` on by `count` bytes: by seeking where it can, else by reading on.

    Raises StalePlanError where the file ends before that.
    """
    if isinstance(source, io.FileIO) and source.seekable():
        source.seek(count, os.SEEK_CUR)
        if source.tell() <= os.fstat(source.fileno()).st_size:
            return
        raise changed_input(name)
    while count:
        data = source.read(min(count, _SKIP_BYTES))
        if not data:
            raise changed_input(name)
        count -= len(data)


def changed_input(name: str) -> StalePlanError:
    """The error of an import that can't go on because its file is another one now."""
    return StalePlanError(
        f"'{name}' has changed since its import began.",
        hint="Put the old file back and run the command again, or cancel the run and import anew.",
    )


class _Pushback:
    """A stream whose beginning has been looked at; one that isn't `owned` stays open."""

    def __init__(self, stream: ByteSource, *, owned: bool) -> None:
        self._stream = stream
        self._owned = owned
        self.head = _read_fully(stream, _HEAD_BYTES)
        self._left = self.head

    def read(self, size: int, /) -> bytes:
        data, self._left = self._left[:size], self._left[size:]
        return data or _read_fully(self._stream, size)

    def close(self) -> None:
        if self._owned:
            self._stream.close()


class _Unpacked:
    """Bytes out of a gzip or zstd file; one that ends too early or is damaged is an error."""

    def __init__(self, name: str, raw: ByteSource, compression: Compression) -> None:
        self._name = name
        self._file = raw
        unpacked: ByteSource = (
            cast(ByteSource, gzip.GzipFile(fileobj=cast(BinaryIO, raw), mode="rb"))
            if compression is Compression.GZIP
            else _ZstdReader(raw)
        )
        self._unpacked = unpacked

    def read(self, size: int, /) -> bytes:
        try:
            return self._unpacked.read(size)
        except EOFError as problem:
            raise InputFileError(f"'{self._name}' ends in the middle of its compressed data.") from problem
        except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as problem:
            raise InputFileError(f"'{self._name}' is damaged: {problem}.") from problem

    def close(self) -> None:
        self._unpacked.close()
        self._file.close()


class _ZstdReader:
    """The frames of a zstd file, one after the other; raises EOFError where the last one is cut off."""

    def __init__(self, raw: ByteSource) -> None:
        self._raw = raw
        self._zstd = zstandard.ZstdDecompressor(max_window_size=_ZSTD_MOST_WINDOW)
        self._frame = self._zstd.decompressobj()
        self._inside = False
        self._unread = b""

    def read(self, size: int, /) -> bytes:
        parts: list[bytes] = []
        gathered = 0
        while gathered < size:
            data = self._unread or self._raw.read(_ZSTD_FEED_BYTES)
            if not data:
                if self._inside:
                    raise EOFError
                break
            part = self._feed(data)
            parts.append(part)
            gathered += len(part)
        return b"".join(parts)

    def _feed(self, data: bytes) -> bytes:
        part = self._frame.decompress(data)
        self._inside, self._unread = not self._frame.eof, b""
        if self._frame.eof:
            self._unread = self._frame.unused_data
            self._frame = self._zstd.decompressobj()
        return part

    def close(self) -> None:
        """Holds nothing of its own."""


def _read_fully(stream: ByteSource, size: int) -> bytes:
    parts = []
    while size and (data := stream.read(size)):
        parts.append(data)
        size -= len(data)
    return b"".join(parts)
