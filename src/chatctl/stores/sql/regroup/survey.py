"""The first look at the messages: which chats there will be, by keys alone or as a spine to find pauses in.

Only chatctl's own tables are written here. The first pass also counts and sums up what the run will leave alone, so
that `verify` needs no scan of its own beforehand.
"""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa

from chatctl.stores.sql.batches import BatchOutcome
from chatctl.stores.sql.batches.work import Position
from chatctl.stores.sql.regroup.keyrange import KeyRange, Step, slices_of
from chatctl.stores.sql.regroup.phase import Phase
from chatctl.stores.sql.regroup.scheme import Scheme
from chatctl.stores.sql.regroup.worktables import WorkTables

#: A look locks nothing of the application's, and groups that many messages share are then written fewer times.
_ROWS_A_SLICE = 250_000


class _Look(Phase):
    """Goes through the messages that are to be moved, by their keys."""

    name: ClassVar[str] = "look"
    title: ClassVar[str] = "looking at messages"
    largest_batch: ClassVar[int] = 250_000
    target_ms: ClassVar[int] = 2_000

    def __init__(self, scheme: Scheme, work: WorkTables, round_number: int) -> None:
        super().__init__(scheme, work, round_number)
        # After the first pass there is little to find, and finding nothing takes a whole range.
        self.first_batch = 50_000 if round_number == 1 else 200_000

    def bounds(self, connection: sa.Connection) -> list[Position]:
        """Slices of the messages' keys."""
        parts = slices_of(connection, self.scheme.dialect, self.scheme.messages, _ROWS_A_SLICE)
        return KeyRange(self.scheme.id).slices(connection, parts)

    def batch(self, connection: sa.Connection, bounds: Position, position: Position, size: int) -> BatchOutcome:
        """Looks at the next `size` messages."""
        if self.round > 1:
            step = KeyRange(self.scheme.id, self.eligible()).step(connection, bounds, position, size)
            return self._looked(connection, step, step.rows, {})
        step = KeyRange(self.scheme.id).step(connection, bounds, position, size)
        found, others, checksum = self._counts(connection, step)
        counts = {"looked": found, "others": others, "others_checksum": checksum}
        return self._looked(connection, step, found, counts)

    def _looked(self, connection: sa.Connection, step: Step, found: int, counts: dict[str, int]) -> BatchOutcome:
        if found:
            self.write(connection, step.within)
        return BatchOutcome(found, {"after": step.upper}, step.last, counts)

    def _counts(self, connection: sa.Connection, step: Step) -> tuple[int, int, int]:
        """How many messages the run will move, how many it leaves alone, and the checksum of those."""
        if not step.rows:
            return 0, 0, 0
        moves = sa.and_(sa.true(), *self.scheme.eligible())
        found = int(connection.scalar(sa.select(sa.func.count()).where(step.within, moves)) or 0)
        if found == step.rows:
            return found, 0, 0
        return found, *others(connection, self.scheme, step.within)

    def write(self, connection: sa.Connection, within: sa.ColumnElement[bool]) -> None:
        """Notes the messages `within` the step."""
        raise NotImplementedError


class Survey(_Look):
    """One chat for each distinct set of keys: first and last message, and how many."""

    def write(self, connection: sa.Connection, within: sa.ColumnElement[bool]) -> None:
        """Adds the step's groups to the run's chats."""
        grouped = groups(self.scheme, within, *self.eligible(), summed=True).subquery()
        values = {key: grouped.c[key] for key in self.scheme.grouping.by}
        chat_id = self.scheme.group_chat_id(values).label("chat_id")
        found = [grouped.c.first_at, grouped.c.last_at, grouped.c.messages, grouped.c.checksum]
        rows = sa.select(chat_id, sa.literal(self.round), *values.values(), *found).order_by(chat_id)
        names = ["chat_id", "round", *self.scheme.grouping.by, "first_at", "last_at", "messages", "checksum"]
        connection.execute(self.scheme.dialect.upsert(self.work.chats, names, rows, "chat_id", self._merge))

    def _merge(self, there: Any, new: Any) -> dict[str, sa.ColumnElement[Any]]:
        return {
            "first_at": self.scheme.dialect.least(there.first_at, new.first_at),
            "last_at": self.scheme.dialect.greatest(there.last_at, new.last_at),
            "messages": there.messages + new.messages,
            "checksum": there.checksum + new.checksum,
        }


class Spine(_Look):
    """Every message's group, time and ID, so that each group can be walked in its order."""

    def write(self, connection: sa.Connection, within: sa.ColumnElement[bool]) -> None:
        """Adds the step's messages to the spine."""
        scheme = self.scheme
        digest = scheme.digest().label("digest")
        rows = (
            sa.select(sa.literal(self.round), digest, scheme.at.label("at"), scheme.id.label("id"), scheme.number)
            .where(within, *self.eligible())
            .order_by(digest)
        )
        connection.execute(self.work.spine.insert().from_select(["round", "digest", "at", "id", "number"], rows))


def others(connection: sa.Connection, scheme: Scheme, *conditions: sa.ColumnElement[bool]) -> tuple[int, int]:
    """How many messages a run leaves alone (they have a chat, or lack a key), and the sum of their numbers."""
    left = sa.or_(scheme.link.is_not(None), *(wanted.is_not(sa.true()) for wanted in scheme.chosen()))
    chosen = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(scheme.number), 0))
    row = connection.execute(chosen.where(*conditions, left, scheme.settled())).one()
    return int(row[0]), int(row[1])


def groups(scheme: Scheme, *conditions: sa.ColumnElement[bool], summed: bool = False) -> sa.Select[Any]:
    """The groups of the messages that are to be moved: keys, `first_at`, `last_at`, `messages`, `checksum` if asked."""
    exact = {name: scheme.dialect.exact(value) for name, value in scheme.values.items()}
    plain = all(exact[name] is value for name, value in scheme.values.items())
    columns = [value.label(name) for name, value in scheme.values.items()] + [scheme.at.label("at")]
    if not plain:
        columns += [value.label(f"exact_{name}") for name, value in exact.items()]
    if summed:
        columns.append(scheme.number.label("number"))
    chosen = scheme.dialect.apart(sa.select(*columns).where(*conditions, *scheme.eligible())).subquery()
    by = [chosen.c[name if plain else f"exact_{name}"] for name in exact]
    keys = [chosen.c[name] if plain else sa.func.min(chosen.c[name], type_=chosen.c[name].type) for name in exact]
    found: list[sa.ColumnElement[Any]] = [
        *(key.label(name) for name, key in zip(exact, keys, strict=True)),
        sa.func.min(chosen.c.at, type_=chosen.c.at.type).label("first_at"),
        sa.func.max(chosen.c.at, type_=chosen.c.at.type).label("last_at"),
        sa.func.count().label("messages"),
    ]
    if summed:
        found.append(sa.func.sum(chosen.c.number).label("checksum"))
    return sa.select(*found).group_by(*by)
