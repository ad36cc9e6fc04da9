"""What a statement answered, kept as text so that the same revision gets the same answer when it is begun again.

Values are the driver's, before SQLAlchemy converts them. JSON holds what it can; the rest is tagged with its type.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID


@dataclass(frozen=True)
class Answer:
    """A statement's columns, as the driver describes them, and its rows; or the error that it met, by class and
    arguments.

    An error is an answer too: some engines say so that a table isn't there. A statement that changes rows answers how
    many it has `changed` (None for others, and -1 where nobody knows), and the last key that the server made.
    """

    description: tuple[tuple[Any, ...], ...]
    rows: list[tuple[Any, ...]]
    error: tuple[str, list[Any]] | None = None
    changed: int | None = None
    last_key: int | None = None

    @classmethod
    def of_change(cls, cursor: Any) -> Answer:
        """What the cursor has to give after a statement that changes rows."""
        rows = cls.of(cursor) or cls((), [])
        return replace(rows, changed=cursor.rowcount, last_key=getattr(cursor, "lastrowid", None))

    @classmethod
    def of(cls, cursor: Any) -> Answer | None:
        """What the cursor has to give after a query; None where the statement answers nothing."""
        if cursor.description is None:
            return None
        return cls(tuple(tuple(column) for column in cursor.description), [tuple(row) for row in cursor.fetchall()])

    @classmethod
    def of_error(cls, problem: BaseException) -> Answer:
        """What stands for the driver's error."""
        return cls((), [], (type(problem).__name__, list(problem.args)))

    def raise_error(self, driver: Any) -> None:
        """Raises the error that the query met, if it met one, as the driver module would."""
        if self.error is not None:
            name, arguments = self.error
            raise getattr(driver, name)(*arguments)

    def as_text(self) -> str:
        """The answer as JSON. Raises TypeError where a value has a type that can't be kept."""
        content = {
            # Type codes are numbers, or the driver's own objects that say nothing once its connection is gone.
            "columns": [[column[0], column[1] if isinstance(column[1], int) else None] for column in self.description],
            "rows": [[_packed(value) for value in row] for row in self.rows],
            "error": [self.error[0], [_packed(value) for value in self.error[1]]] if self.error else None,
            "changed": self.changed,
            "last_key": self.last_key,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Answer:
        """The answer that `as_text` wrote."""
        content = json.loads(text)
        description = tuple((name, code, None, None, None, None, None) for name, code in content["columns"])
        rows = [tuple(_unpacked(value) for value in row) for row in content["rows"]]
        error = content["error"]
        met = (error[0], [_unpacked(value) for value in error[1]]) if error else None
        return cls(description, rows, met, content.get("changed"), content.get("last_key"))


def _bytes(value: bytes | bytearray | memoryview) -> str:
    return base64.b64encode(bytes(value)).decode()


#: Tag → (types, how a value is written, how it is read).
_TAGS: dict[str, tuple[tuple[type, ...], Callable[[Any], Any], Callable[[Any], Any]]] = {
    "datetime": ((datetime,), datetime.isoformat, datetime.fromisoformat),
    "date": ((date,), date.isoformat, date.fromisoformat),
    "time": ((time,), time.isoformat, time.fromisoformat),
    "us": ((timedelta,), lambda span: span // timedelta(microseconds=1), lambda us: timedelta(microseconds=us)),
    "decimal": ((Decimal,), str, Decimal),
    "uuid": ((UUID,), str, UUID),
    "bytes": ((bytes, bytearray, memoryview), _bytes, base64.b64decode),
    "tuple": ((tuple,), lambda items: [_packed(item) for item in items], lambda items: tuple(map(_unpacked, items))),
}


def _packed(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [_packed(item) for item in value]
    if isinstance(value, dict):
        return {"dict": [[key, _packed(item)] for key, item in value.items()]}
    for tag, (types, write, _) in _TAGS.items():
        if isinstance(value, types):
            return {tag: write(value)}
    raise TypeError(f"a {type(value).__name__} can't be kept")


def _unpacked(value: Any) -> Any:
    if isinstance(value, list):
        return [_unpacked(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, content),) = value.items()
    if tag == "dict":
        return {key: _unpacked(item) for key, item in content}
    return _TAGS[tag][2](content)
