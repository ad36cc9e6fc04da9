"""The formats that rows come and go in, and how a file's name or first bytes tell them.

Nothing here opens a file.
"""

from __future__ import annotations

from enum import Enum
from pathlib import PurePath

from chatctl.errors import UsageError

#: What stands for standard input or output among files.
STANDARD = "-"


class Format(Enum):
    """How rows are written down."""

    JSONL = "jsonl"
    BSON = "bson"
    CSV = "csv"
    TSV = "tsv"

    @property
    def is_json(self) -> bool:
        """Whether each line is a JSON object, as against a record of cells under a header."""
        return self in (Format.JSONL, Format.BSON)

    @property
    def delimiter(self) -> str:
        """What parts the cells of a record."""
        return "\t" if self is Format.TSV else ","


class Compression(Enum):
    """How a file's bytes are packed."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"


_FORMATS = {
    ".jsonl": Format.JSONL,
    ".ndjson": Format.JSONL,
    ".json": Format.JSONL,
    ".csv": Format.CSV,
    ".tsv": Format.TSV,
    ".tab": Format.TSV,
}
_COMPRESSIONS = {".gz": Compression.GZIP, ".zst": Compression.ZSTD, ".zstd": Compression.ZSTD}
_MAGIC = {b"\x1f\x8b": Compression.GZIP, b"\x28\xb5\x2f\xfd": Compression.ZSTD}


def format_of(file: str, chosen: Format | None = None) -> Format:
    """The format of `file`: the chosen one, or the one its name ends in, before any .gz or .zst.

    Standard input and output are JSON lines unless another format is chosen. Raises UsageError where neither the
    name nor a choice says it.
    """
    if chosen is not None:
        return chosen
    if file == STANDARD:
        return Format.JSONL
    suffixes = [suffix.lower() for suffix in PurePath(file).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSIONS:
        suffixes.pop()
    if suffixes and suffixes[-1] in _FORMATS:
        return _FORMATS[suffixes[-1]]
    raise UsageError(
        f"The name of '{file}' doesn't tell its format.",
        hint=f"Name it with --format: {', '.join(format.value for format in Format)}.",
    )


def compression_by_name(file: str) -> Compression:
    """The compression that an output file's name asks for."""
    return _COMPRESSIONS.get(PurePath(file).suffix.lower(), Compression.NONE)


def compression_by_magic(head: bytes) -> Compression:
    """The compression that a file's first bytes show, whatever its name."""
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), Compression.NONE)
