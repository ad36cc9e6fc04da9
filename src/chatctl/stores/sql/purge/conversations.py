"""The tables that a layout's purge rule removes rows from, as they are in one database.

Conditions and joins are here; what is deleted when is not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from chatctl.domain.retention import HoldKind, Subject
from chatctl.errors import LayoutError, MissingEntityError, UsageError
from chatctl.layouts.model import Layout
from chatctl.layouts.rules import Purge
from chatctl.stores.sql.tables import LayoutTables
from chatctl.stores.sql.types import EpochTime, UtcDateTime

#: Values of one or several columns, one tuple a row.
Keys = Sequence[tuple[Any, ...]]

_USER, _PROJECT, _TYPE = "user_id", "project_id", "chat_type"


@dataclass(frozen=True)
class Part:
    """A table whose rows go: the conversations themselves, or a child.

    `columns` are the names of all that the table has, the layout's and others, but for computed ones; `join` says
    how a row finds its parent: (own column, the parent's).
    """

    key: str
    table: sa.Table
    columns: tuple[str, ...]
    parent: str | None = None
    join: tuple[tuple[str, str], ...] = ()

    @property
    def primary_key(self) -> list[sa.Column[Any]]:
        """The columns that identify a row."""
        return list(self.table.primary_key.columns)


class Conversations:
    """What `layout` calls a conversation, with everything that goes with it, in the database of `connection`.

    Raises MissingEntityError where the layout has no purge rule or the database lacks a table or column of it,
    LayoutError where a foreign key would take rows along that the rule doesn't name.
    """

    def __init__(self, layout: Layout, connection: sa.Connection) -> None:
        if layout.purge is None:
            raise MissingEntityError(
                f"The layout '{layout.name}' has no purge clock.",
                hint="Its 'purge' section says what goes, by which clock, and with what.",
            )
        self.rule: Purge = layout.purge
        self.layout = layout
        self._tables = LayoutTables(layout)
        self._inspector = sa.inspect(connection)
        self.what = self._part(self.rule.what)
        self.children: list[Part] = []
        for key in self.rule.children:
            self.children.append(self._child(key))
        self._refuse_undeclared_children()
        #: The name of an index that begins with the clock, if there is one.
        self.clock_index = self._find_clock_index()

    # --- columns --------------------------------------------------------------------------------------------

    @property
    def clock(self) -> sa.Column[Any]:
        """The instant of the last access."""
        return self._needed(self.what, self.rule.clock)

    @property
    def account(self) -> sa.Column[Any] | None:
        """Whose account a conversation is of, where the layout says so."""
        return self._needed(self.what, self.rule.account) if self.rule.account else None

    @property
    def user(self) -> sa.Column[Any] | None:
        """Whose conversation it is, where its own table tells."""
        return self._optional(_USER)

    @property
    def created(self) -> sa.Column[Any] | None:
        """When a conversation began, where its table tells."""
        return self._optional("created_at")

    @property
    def label(self) -> sa.Column[Any]:
        """What people call a conversation: its `chat_id`, else the first column of its primary key."""
        found = self._optional("chat_id")
        return found if found is not None else self.what.primary_key[0]

    def subject(self, subject: Subject) -> sa.Column[Any]:
        """The column that rules about `subject` look at; raises MissingEntityError where there is none."""
        found = {
            "account": lambda: self.account,
            "project": lambda: self._optional(_PROJECT),
            "chat_type": lambda: self._optional(_TYPE),
        }[subject]()
        if found is None:
            raise MissingEntityError(f"'{self.what.key}' tells no {subject} in layout '{self.layout.name}'.")
        return found

    def held_column(self, kind: HoldKind) -> sa.Column[Any] | None:
        """The column that a hold of this kind looks at, or None where conversations don't tell."""
        columns = {
            "chat": self.label, "user": self.user, "account": self.account, "project": self._optional(_PROJECT),
        }  # fmt: skip
        return columns[kind]

    def _find_clock_index(self) -> str | None:
        name = self.clock.name
        for index in self._inspector.get_indexes(self.what.table.name, self.what.table.schema):
            if index["column_names"][:1] == [name]:
                return str(index["name"])
        return None

    @property
    def order(self) -> list[sa.Column[Any]]:
        """The order in which conversations are walked: by the clock where an index leads there, else by their key."""
        return [self.clock, *self.what.primary_key] if self.clock_index else self.what.primary_key

    # --- conditions -----------------------------------------------------------------------------------------

    def of_user(self, user: str) -> sa.ColumnElement[bool]:
        """Conversations of this user: by their own column, else by all of their children's, else by the account."""
        if self.user is not None:
            return _is(self.user, user)
        for child in self.children:
            if child.parent == self.what.key and self._has(child, _USER):
                others = self._has_child(child, lambda rows: rows.c[_USER] != user)
                return sa.and_(self._has_child(child, lambda rows: rows.c[_USER] == user), sa.not_(others))
        if self.account is not None:
            return _is(self.account, user)
        raise MissingEntityError(f"Nothing tells a conversation's user in layout '{self.layout.name}'.")

    def joined(self, child: Part, rows: sa.FromClause | None = None) -> sa.ColumnElement[bool]:
        """Rows of `child` (by the name `rows`, where they have another one) beside the row of their parent."""
        parent = self.part(child.parent or "")
        own_rows = child.table if rows is None else rows
        return sa.and_(*(own_rows.c[own] == parent.table.c[its] for own, its in child.join))

    @property
    def single_joins(self) -> list[tuple[sa.Column[Any], sa.Column[Any]]]:
        """The columns by which children find a conversation, of those that need one column alone."""
        return [
            (child.table.c[own], self.what.table.c[its])
            for child in self.children
            if child.parent == self.what.key and len(child.join) == 1
            for own, its in child.join
        ]

    def part(self, key: str) -> Part:
        """The part called `key`."""
        return next(part for part in (self.what, *self.children) if part.key == key)

    def written_since(self, moment: Any) -> sa.ColumnElement[bool]:
        """Conversations that got a message at `moment` or later, whatever their own clock says."""
        found = [
            self._has_child(child, lambda rows: rows.c.created_at >= moment)
            for child in self.children
            if child.parent == self.what.key and self._has(child, "created_at") and _is_time(child.table.c.created_at)
        ]
        return sa.or_(sa.false(), *found)

    def _has_child(
        self, child: Part, condition: Callable[[sa.FromClause], sa.ColumnElement[bool]]
    ) -> sa.ColumnElement[bool]:
        # By a name of its own, since the query around it may read the same table.
        rows = child.table.alias()
        return sa.exists().where(self.joined(child, rows), condition(rows))

    # --- looking up -----------------------------------------------------------------------------------------

    def _part(self, key: str) -> Part:
        table = self._tables[key]
        if not self._inspector.has_table(table.name, table.schema):
            raise MissingEntityError(
                f"There is no table '{table.name}' in this database.", hint="chatctl migrate brings it."
            )
        reflected = self._inspector.get_columns(table.name, table.schema)
        part = Part(key, table, tuple(column["name"] for column in reflected if not column.get("computed")))
        for column in part.primary_key:
            self._needed(part, column.key)
        return part

    def _child(self, key: str) -> Part:
        for parent in (self.what, *self.children):
            join = self.layout.join(key, parent.key)
            if join:
                found = self._part(key)
                for own, its in join.items():
                    self._needed(found, own)
                    self._needed(parent, its)
                return Part(key, found.table, found.columns, parent.key, tuple(join.items()))
        raise LayoutError(f"Nothing says how '{key}' belongs to '{self.what.key}'.")

    def _needed(self, part: Part, key: str) -> sa.Column[Any]:
        if not self._has(part, key):
            raise MissingEntityError(
                f"The table '{part.table.name}' has no column for '{key}', which purge needs.",
                hint="chatctl migrate brings it; chatctl migrate check compares the schema with the layout.",
            )
        return part.table.c[key]

    def _optional(self, key: str) -> sa.Column[Any] | None:
        return self.what.table.c[key] if self._has(self.what, key) else None

    @staticmethod
    def _has(part: Part, key: str) -> bool:
        return key in part.table.c and part.table.c[key].name in part.columns

    def _refuse_undeclared_children(self) -> None:
        parts = {part.table.name for part in (self.what, *self.children)}
        found = self._inspector.get_multi_foreign_keys(schema=self.what.table.schema)
        for (_, name), keys in found.items():
            for key in keys:
                if key["referred_table"] in parts and name not in parts:
                    raise LayoutError(
                        f"Rows of '{name}' belong to '{key['referred_table']}' by a foreign key, and the layout's purge"
                        " rule doesn't name them.",
                        hint=f"Declare '{name}' as an entity, and name it in 'with' of the layout's purge section.",
                    )


def typed(column: sa.Column[Any], text: str) -> Any:
    """`text` as a value of `column`; raises UsageError where it can't be one."""
    try:
        return int(text) if isinstance(column.type, sa.Integer) else text
    except ValueError:
        raise UsageError(f"'{text}' is no number, as '{column.name}' holds them.") from None


def _is(column: sa.Column[Any], text: str) -> sa.ColumnElement[bool]:
    same: sa.ColumnElement[bool] = column == typed(column, text)
    return same


def matching(columns: Sequence[sa.Column[Any]], keys: Keys) -> sa.ColumnElement[bool]:
    """Rows whose `columns` hold one of `keys`.

    Of several columns each is listed on its own too, so that an index on any of them serves: not every engine can
    search by a row of values.
    """
    each = [column.in_({key[place] for key in keys}) for place, column in enumerate(columns)]
    if len(columns) == 1:
        return each[0]
    return sa.and_(*each, sa.tuple_(*columns).in_(keys))


def _is_time(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, UtcDateTime | EpochTime)
