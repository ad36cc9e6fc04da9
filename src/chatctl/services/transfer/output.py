"""Where exported bytes go: a file that appears whole or not at all, packed as its name says, or standard output."""

from __future__ import annotations

import errno
import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from chatctl.errors import DiskFullError, NotFoundError, RefusedError
from chatctl.services.transfer.formats import Compression, compression_by_name


@contextmanager
def file_errors(path: Path | str) -> Iterator[None]:
    """Turns the operating system's errors about `path` into chatctl's; broken pipes and sockets are none of them."""
    try:
        yield
    except FileNotFoundError as problem:
        raise NotFoundError(f"'{path}' doesn't exist.") from problem
    except ConnectionError:
        raise
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(f"No space is left for '{path}'.") from problem
        raise RefusedError(f"'{path}' can't be used: {problem.strerror or problem}.") from problem


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A stream into `path`, compressed if it ends in .gz or .zst.

    The file appears under its name, replacing an older one, only when the block has ended well; until then, and
    after an error, what stood there before stands there still.
    """
    hidden = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with file_errors(path):
            with hidden.open("xb") as file:
                with packed(cast(BinaryIO, file), compression_by_name(path.name)) as stream:
                    yield stream
                file.flush()
                os.fsync(file.fileno())
            hidden.replace(path)
            sync_folder(path.parent)
    finally:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)


@contextmanager
def packed(stream: BinaryIO, compression: Compression) -> Iterator[BinaryIO]:
    """A stream that compresses into `stream`, and leaves it open."""
    if compression is Compression.GZIP:
        # No name and no time in the header: the same rows make the same bytes.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=stream, mtime=0) as inner:
            yield cast(BinaryIO, inner)
    elif compression is Compression.ZSTD:
        with zstandard.ZstdCompressor(level=3).stream_writer(stream, closefd=False) as zstd:
            yield cast(BinaryIO, zstd)
    else:
        yield stream
