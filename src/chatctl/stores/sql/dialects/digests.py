"""Checksums of rows in whatever order: the halves of each row's MD5, each half summed modulo 2⁶⁴, in hex."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

_HALVES = struct.Struct(">2Q")


def sum_of_halves(
    connection: sa.Connection, digests: sa.Subquery, number: Callable[[sa.ColumnElement[str]], sa.ColumnElement[int]]
) -> tuple[int, str]:
    """The number of `digests` (a column `digest`) and their checksum; `number` makes 16 hex digits one, modulo 2⁶⁴."""
    halves = [sa.func.sum(number(sa.func.substr(digests.c.digest, first, 16))) for first in (1, 17)]
    count, *sums = connection.execute(sa.select(sa.func.count(), *halves).select_from(digests)).one()
    return int(count), _hex(*(int(half or 0) for half in sums))


class DigestSum:
    """The same as an aggregate of texts, for an engine that has no MD5 of its own and calls Python for it."""

    def __init__(self) -> None:
        self._high = self._low = 0

    def step(self, text: str) -> None:
        """Adds a text."""
        high, low = _HALVES.unpack(_md5(text).digest())
        self._high += high
        self._low += low

    def finalize(self) -> str:
        """The checksum of all."""
        return _hex(self._high, self._low)


def md5(text: str) -> str:
    """The digest of one text, in hex."""
    digest: str = _md5(text).hexdigest()
    return digest


def _md5(text: str) -> Any:
    return hashlib.md5(text.encode(), usedforsecurity=False)


def _hex(*halves: int) -> str:
    return "".join(f"{half % 2**64:016x}" for half in halves)
