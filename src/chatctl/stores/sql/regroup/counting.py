"""Counts what a regrouping would do, by reading alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.regroup.scheme import Scheme
from chatctl.stores.sql.regroup.survey import groups

_LARGEST = 5


@dataclass(frozen=True)
class Counts:
    """How much there is to do. `companions` are the rows that are missing, by entity."""

    total: int
    to_move: int
    standalone: int
    groups: int
    chats: int
    largest: list[dict[str, Any]]
    companions: dict[str, int]


def count(connection: sa.Connection, scheme: Scheme) -> Counts:
    """Counts over all messages, in four reads of the table at most."""
    found = groups(scheme).subquery()
    number, to_move = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(found.c.messages), 0)).select_from(found)
    ).one()
    return Counts(
        total=_number(connection, sa.select(sa.func.count()).select_from(scheme.messages)),
        to_move=int(to_move),
        standalone=_number(connection, sa.select(sa.func.count()).where(*scheme.standalone())),
        groups=number,
        chats=_new_chats(connection, scheme),
        largest=_largest(connection, scheme),
        companions={item.entity: _missing(connection, scheme, item.entity, item.column, item.key)
                    for item in scheme.companions},
    )  # fmt: skip


def sample(connection: sa.Connection, scheme: Scheme, size: int) -> int:
    """Looks at up to `size` messages as a run would, for a stopwatch; returns how many there were."""
    keys = sa.select(scheme.group_chat_id().label("c")).where(*scheme.eligible()).limit(size).subquery()
    return _number(connection, sa.select(sa.func.count(keys.c.c)))


def link_is_indexed(connection: sa.Connection, scheme: Scheme) -> bool:
    """Whether the messages of a chat are found without a scan."""
    inspector = sa.inspect(connection)
    table, schema = scheme.messages.name, scheme.messages.schema
    listed = [index["column_names"] for index in inspector.get_indexes(table, schema)]
    return any(columns and columns[0] == scheme.link.name for columns in listed)


def all_are_linked(connection: sa.Connection, scheme: Scheme) -> bool:
    """Whether an index tells at once that no message is without a chat."""
    if not link_is_indexed(connection, scheme):
        return False
    return connection.execute(sa.select(scheme.id).where(scheme.link.is_(None)).limit(1)).first() is None


def link_is_enforced(connection: sa.Connection, scheme: Scheme) -> bool:
    """Whether the server refuses a message that names a chat which isn't there."""
    keys = sa.inspect(connection).get_foreign_keys(scheme.messages.name, scheme.messages.schema)
    return any(
        key["constrained_columns"] == [scheme.link.name] and key["referred_table"] == scheme.chats.name for key in keys
    )


def _new_chats(connection: sa.Connection, scheme: Scheme) -> int:
    if scheme.grouping.gap_seconds is not None:
        return _beginnings(connection, scheme, scheme.grouping.gap_seconds)
    found = groups(scheme).subquery()
    ids = sa.select(scheme.group_chat_id({key: found.c[key] for key in scheme.grouping.by}).label("c")).subquery()
    there = sa.exists().where(scheme.chat_id == ids.c.c)
    return _number(connection, sa.select(sa.func.count()).select_from(ids).where(~there))


def _beginnings(connection: sa.Connection, scheme: Scheme, gap_seconds: int) -> int:
    moments = scheme.dialect.microseconds(scheme.at)
    in_order = sa.select(
        moments.label("at"),
        sa.func.lag(moments)
        .over(partition_by=[scheme.dialect.exact(value) for value in scheme.values.values()], order_by=scheme.at)
        .label("before"),
    ).where(*scheme.eligible())
    found = in_order.subquery()
    begins = sa.or_(found.c.before.is_(None), found.c.at - found.c.before > gap_seconds * 1_000_000)
    return _number(connection, sa.select(sa.func.count()).select_from(found).where(begins))


def _largest(connection: sa.Connection, scheme: Scheme) -> list[dict[str, Any]]:
    found = groups(scheme).subquery()
    keys = [found.c[key] for key in scheme.grouping.by]
    top = sa.select(*keys, found.c.messages).order_by(found.c.messages.desc(), *keys).limit(_LARGEST)
    return [dict(row._mapping) for row in connection.execute(top)]


def _missing(connection: sa.Connection, scheme: Scheme, entity: str, column: str, key: str) -> int:
    found = groups(scheme).subquery()
    value = found.c[key]
    there = sa.exists().where(scheme.tables[entity].c[column] == value)
    return _number(connection, sa.select(sa.func.count(value.distinct())).where(value.is_not(None), ~there))


def _number(connection: sa.Connection, query: sa.Select[Any]) -> int:
    return int(connection.scalar(query) or 0)
