"""The readers of number columns: integers, truth values, floats and exact decimals."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, cast

from chatctl.services.transfer.unfit import UnfitError
from chatctl.services.transfer.value_reader import ValueReader

_INTEGER = re.compile(r"[+-]?\d+(\.0+)?", re.ASCII)
_TRUTH = {"true": True, "false": False, "t": True, "f": False, "1": True, "0": False}


class IntegerReader(ValueReader):
    """Integers of `bits` bits, signed; 5.0 and "5" count."""

    expected = "an integer"

    def __init__(self, bits: int) -> None:
        self.least, self.most = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def read(self, value: Any) -> int:
        """The integer, within its range."""
        if isinstance(value, str):
            if len(value) > 40 or _INTEGER.fullmatch(value.strip()) is None:
                raise self.refusal()
            value = int(value.partition(".")[0])
        elif isinstance(value, float | Decimal):
            if value != value or value % 1 != 0:
                raise self.refusal()
            value = int(value)
        elif isinstance(value, bool) or not isinstance(value, int):
            raise self.refusal()
        if not self.least <= value <= self.most:
            raise UnfitError(f"is out of range ({self.least} to {self.most})")
        return cast(int, value)

    def many(self, values: Sequence[Any]) -> Sequence[Any]:
        """A column of integers passes as it is."""
        if set(map(type, values)) == {int} and min(values) >= self.least and max(values) <= self.most:
            return values
        return super().many(values)


class BooleanReader(ValueReader):
    """true, false, 1, 0, and the same as text (t and f too, as PostgreSQL writes them)."""

    expected = "true or false"

    def read(self, value: Any) -> bool:
        """The truth value."""
        truth = _TRUTH.get(str(value).strip().lower()) if isinstance(value, bool | int | str) else None
        if truth is None:
            raise self.refusal()
        return truth


class FloatReader(ValueReader):
    """Finite numbers."""

    expected = "a finite number"

    def read(self, value: Any) -> float:
        """The number; NaN and the infinities are refused."""
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise self.refusal()
        number = float(refuse_underscore(value))
        if not math.isfinite(number):
            raise self.refusal()
        return number


class DecimalReader(ValueReader):
    """Exact numbers of at most `digits` digits, `scale` of them decimals; nothing is rounded."""

    expected = "a decimal number"

    def __init__(self, digits: int, scale: int) -> None:
        self.scale = scale
        self.least_too_large = Decimal(10) ** (digits - scale)

    def read(self, value: Any) -> Decimal:
        """The number, with its decimals as they came."""
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise self.refusal()
        number = Decimal(str(refuse_underscore(value)).strip())
        if not number.is_finite():
            raise self.refusal()
        if number.copy_abs() >= self.least_too_large:
            raise UnfitError(f"is out of range (below {self.least_too_large:f})")
        _, digits, exponent = number.as_tuple()
        excess = -cast(int, exponent) - self.scale
        if excess > 0 and any(digits[-excess:]):
            raise UnfitError(f"has more than {self.scale} decimals")
        return number


def refuse_underscore(value: Any) -> Any:
    """`value`, unless it is text that Python alone takes for a number: `1_000`."""
    if isinstance(value, str) and "_" in value:
        raise ValueError(value)
    return value
