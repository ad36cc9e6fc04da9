"""What the readers of all kinds of columns share: from what a file holds to what the database takes.

A reader has two doors. `one` takes a single value and says what is wrong with it; `many` takes a whole column of a
chunk at C speed and may fail in any of the ways in `UNFIT`, after which the rows are taken one by one. Both give the
same values. None never comes in here: whether a column may be empty is `convert`'s business.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from chatctl.services.transfer.extended_json import unwrap
from chatctl.services.transfer.unfit import UnfitError

#: What a value that doesn't fit raises; ArithmeticError covers overflow and what Decimal refuses.
UNFIT = (ValueError, TypeError, ArithmeticError, RecursionError)


class ValueReader:
    """Reads the values of one column; `expected` names them in a reject's reason."""

    expected: ClassVar[str]
    #: Whether a CSV cell that isn't empty goes to `many` as it is.
    cells_are_values: ClassVar[bool] = True

    def one(self, value: Any) -> Any:
        """The database's value for `value`; raises one of UNFIT, with an UnfitError where it can say what is wrong."""
        return self.read(unwrap(value) if isinstance(value, dict) else value)

    def many(self, values: Sequence[Any]) -> Sequence[Any]:
        """The database's values for `values`, in order; raises one of UNFIT."""
        return [self.one(value) for value in values]

    def cell(self, text: str) -> Any:
        """What the text of a CSV cell stands for, before it is read."""
        return text or None

    def read(self, value: Any) -> Any:
        """The database's value for a plain value."""
        raise NotImplementedError

    def refusal(self) -> UnfitError:
        """The error of a value that is something else altogether."""
        return UnfitError(f"is not {self.expected}")
