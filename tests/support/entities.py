"""Entities of made-up tables for tests that read and write rows."""

from __future__ import annotations

from typing import Any

from chatctl.layouts import Entity


def entity(**columns: str | dict[str, Any]) -> Entity:
    """An entity of `columns`: a type, or a column as a layout file says it; a column's name is its key in camelCase.

    The column `id` is the primary key.
    """
    declared = {}
    for key, column in columns.items():
        as_dict = {"type": column} if isinstance(column, str) else column
        declared[key] = {"name": camel_case(key), "key": key == "id", **as_dict}
    return Entity.model_validate({"table": "things", "columns": declared})


def camel_case(key: str) -> str:
    """`user_id` as `userId`."""
    head, *tail = key.split("_")
    return head + "".join(part.capitalize() for part in tail)


#: Messages as a legacy table of chats with mentors has them.
MESSAGES = entity(
    id="text(64)",
    user_id="text(64)",
    mentor_id={"type": "text(64)", "nullable": True},
    role="text(32)",
    content="longtext",
    created_at="datetime(3)",
)

#: One column of every kind, each of which may be empty.
EVERY_KIND = entity(
    id="text(64)",
    **{
        key: {"type": type, "nullable": True}
        for key, type in {
            "short_text": "text(20)",
            "long_text": "longtext",
            "small_number": "integer",
            "big_number": "bigint",
            "truth": "boolean",
            "ratio": "float",
            "price": "decimal(20,4)",
            "second": "datetime(0)",
            "millisecond": "datetime(3)",
            "microsecond": "datetime(6)",
            "epoch_second": "epoch(s)",
            "epoch_millisecond": "epoch(ms)",
            "epoch_microsecond": "epoch(us)",
            "meta_data": "json",
            "token": "uuid",
        }.items()
    },
)
