"""The first look at the messages: which chats there will be, by keys alone or as a spine to find pauses in.

Only chatctl's own tables are written here.
"""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.batches import BatchOutcome
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.regroup.keyrange import KeyRange
from chatctl.stores.sql.regroup.phase import Phase
from chatctl.stores.sql.regroup.scheme import Scheme


class _Look(Phase):
    """Goes through the messages that are to be moved, by their keys."""

    name: ClassVar[str] = "look"
    title: ClassVar[str] = "looking at messages"
    first_batch: ClassVar[int] = 20_000

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """Slices of the messages' keys."""
        return KeyRange(self.scheme.id).slices(connection)

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Looks at the next `size` messages."""
        step = KeyRange(self.scheme.id, self.scheme.eligible()).step(connection, bounds, position, size)
        if step.rows:
            self.write(connection, step.within)
        return BatchOutcome(step.rows, {"after": step.upper}, step.last)

    def write(self, connection: sa.Connection, within: sa.ColumnElement[bool]) -> None:
        """Notes the messages `within` the step."""
        raise NotImplementedError


class Survey(_Look):
    """One chat for each distinct set of keys: first and last message, and how many."""

    def write(self, connection: sa.Connection, within: sa.ColumnElement[bool]) -> None:
        """Adds the step's groups to the run's chats."""
        grouped = groups(self.scheme, within).subquery()
        values = {key: grouped.c[key] for key in self.scheme.grouping.by}
        chat_id = self.scheme.group_chat_id(values).label("chat_id")
        rows = sa.select(
            chat_id, sa.literal(self.round), *values.values(), grouped.c.first_at, grouped.c.last_at, grouped.c.messages
        ).order_by(chat_id)
        names = ["chat_id", "round", *self.scheme.grouping.by, "first_at", "last_at", "messages"]
        connection.execute(self.scheme.dialect.upsert(self.work.chats, names, rows, "chat_id", self._merge))

    def _merge(self, there: Any, new: Any) -> dict[str, sa.ColumnElement[Any]]:
        return {
            "first_at": self.scheme.dialect.least(there.first_at, new.first_at),
            "last_at": self.scheme.dialect.greatest(there.last_at, new.last_at),
            "messages": there.messages + new.messages,
        }


class Spine(_Look):
    """Every message's group, time and ID, so that each group can be walked in its order."""

    def write(self, connection: sa.Connection, within: sa.ColumnElement[bool]) -> None:
        """Adds the step's messages to the spine."""
        digest = self.scheme.digest().label("digest")
        rows = (
            sa.select(sa.literal(self.round), digest, self.scheme.at.label("at"), self.scheme.id.label("id"))
            .where(within, *self.scheme.eligible())
            .order_by(digest)
        )
        connection.execute(self.work.spine.insert().from_select(["round", "digest", "at", "id"], rows))


def groups(scheme: Scheme, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The groups of the messages that are to be moved: keys, `first_at`, `last_at`, `messages`."""
    exact = [scheme.dialect.exact(value) for value in scheme.values.values()]
    plain = all(same is value for same, value in zip(exact, scheme.values.values(), strict=True))
    keys = [value if plain else sa.func.min(value, type_=value.type) for value in scheme.values.values()]
    return (
        sa.select(
            *(key.label(name) for name, key in zip(scheme.values, keys, strict=True)),
            sa.func.min(scheme.at, type_=scheme.at.type).label("first_at"),
            sa.func.max(scheme.at, type_=scheme.at.type).label("last_at"),
            sa.func.count().label("messages"),
        )
        .where(*conditions, *scheme.eligible())
        .group_by(*exact)
    )
