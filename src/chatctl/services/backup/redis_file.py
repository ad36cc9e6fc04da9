"""Keys of Redis in a file: JSON lines, packed by zstd. Knows no server."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import zstandard

from chatctl.errors import IntegrityError
from chatctl.stores.redis.records import KeyRecord

_LEVEL = 3
#: Redis holds at most 512 MiB in one string; base64 makes 4 of 3. A longer line is no key.
_MOST_LINE_CHARACTERS = 768 * 1024 * 1024


def write_records(path: Path, records: Iterable[KeyRecord]) -> dict[str, int]:
    """Writes the keys and returns how many there were, by database number."""
    counts: dict[str, int] = {}
    with path.open("xb") as file, zstandard.ZstdCompressor(level=_LEVEL).stream_writer(file, closefd=False) as packed:
        for record in records:
            # ASCII alone: a key that is no UTF-8 comes as lone surrogates, which UTF-8 can't write.
            line = json.dumps(
                {
                    "db": record.db,
                    "key": record.key,
                    "expires_ms": record.expires_ms,
                    "value": base64.b64encode(record.value).decode(),
                }
            )
            packed.write(line.encode("ascii") + b"\n")
            counts[str(record.db)] = counts.get(str(record.db), 0) + 1
    return counts


def read_records(path: Path) -> Iterator[KeyRecord]:
    """The keys of the file, one at a time; raises IntegrityError where a line is none."""
    try:
        with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as plain:
            text = io.TextIOWrapper(plain, encoding="ascii")
            while line := text.readline(_MOST_LINE_CHARACTERS):
                yield _record(line)
    except (zstandard.ZstdError, ValueError, KeyError, TypeError, binascii.Error) as problem:
        raise IntegrityError(f"The Redis data in the backup can't be read: {type(problem).__name__}.") from problem


def _record(line: str) -> KeyRecord:
    raw = json.loads(line)
    expires = raw["expires_ms"]
    value = base64.b64decode(raw["value"], validate=True)
    return KeyRecord(int(raw["db"]), str(raw["key"]), None if expires is None else int(expires), value)
