"""The readers of time columns: instants as datetimes, and as ticks of an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter, itemgetter
from typing import Any

from chatctl.services.transfer.instants import parse_instant, truncated, unix_ticks
from chatctl.services.transfer.unfit import UnfitError
from chatctl.services.transfer.value_reader import ValueReader


class InstantReader(ValueReader):
    """Instants for a datetime column: naive UTC datetimes, cut to `precision` digits of a second."""

    expected = "a time"

    def __init__(self, precision: int) -> None:
        self.precision = min(precision, 6)

    def read(self, value: Any) -> datetime:
        """The instant."""
        return truncated(read_instant(self, value, None), self.precision)

    def many(self, values: Sequence[Any]) -> Sequence[Any]:
        """A column of ISO 8601 texts that all end in Z is read without a look at each; others one by one."""
        try:
            regular = set(map(itemgetter(-1), values)) == {"Z"} and set(map(itemgetter(4), values)) == {"-"}
        except (TypeError, KeyError, IndexError):
            regular = False
        if not regular:
            return super().many(values)
        read = datetime.fromisoformat
        instants = [read(value[:-1]) for value in values]
        if set(map(attrgetter("tzinfo"), instants)) != {None}:
            return super().many(values)
        step = 10 ** (6 - self.precision)
        if any(instant.microsecond % step for instant in instants):
            return [truncated(instant, self.precision) for instant in instants]
        return instants


class EpochReader(ValueReader):
    """Instants for an epoch column: integers of its own ticks since 1970."""

    expected = "a time"

    def __init__(self, ticks_per_second: int) -> None:
        self.ticks_per_second = ticks_per_second
        self.least = unix_ticks(datetime.min, ticks_per_second)
        self.most = unix_ticks(datetime.max, ticks_per_second)

    def read(self, value: Any) -> int:
        """The ticks; a number is taken for ticks already."""
        return unix_ticks(read_instant(self, value, self.ticks_per_second), self.ticks_per_second)

    def many(self, values: Sequence[Any]) -> Sequence[Any]:
        """A column of integers passes as it is."""
        if set(map(type, values)) == {int} and min(values) >= self.least and max(values) <= self.most:
            return values
        return super().many(values)


def read_instant(reader: ValueReader, value: Any, ticks_per_second: int | None) -> datetime:
    """The instant that `value` means; raises UnfitError that tells a wrong year from what is no time at all."""
    try:
        return parse_instant(value, ticks_per_second)
    except ArithmeticError:
        raise UnfitError("is out of the years 1 to 9999") from None
    except UnfitError:
        raise
    except ValueError:
        raise reader.refusal() from None
