"""What the columns of a layout mean to a regrouping, as expressions that every statement of it is made of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from chatctl.domain.grouping import Grouping
from chatctl.errors import MissingEntityError, UsageError
from chatctl.layouts.model import Layout
from chatctl.layouts.rules import Regroup
from chatctl.stores.sql.ddl import TEXT_OPTIONS
from chatctl.stores.sql.dialects import Dialect
from chatctl.stores.sql.tables import LayoutTables

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ID = re.compile(r"(?P<prefix>[^{}]*)\{md5(?::(?P<digits>\d+))?\}")

#: Columns of a chat that follow the first and the last of its messages.
FIRST = ("created_at",)
LAST = ("updated_at", "accessed_at")


@dataclass(frozen=True)
class Companion:
    """An entity that needs a row for each distinct value of a grouping key: its column, and the key."""

    entity: str
    column: str
    key: str


@dataclass(frozen=True)
class TableName:
    """The name of a table of one run's own, and its schema, or None for the connection's own."""

    name: str
    schema: str | None

    @classmethod
    def of(cls, run_id: str, name: str, schema: str | None) -> TableName:
        """The table that the run `run_id` calls `name`."""
        return cls(f"chatctl_regroup_{run_id.replace('-', '_')}_{name}", schema)


@dataclass(frozen=True)
class Baseline:
    """What must be the same after a run: the message's columns `keys`, in messages not younger than `cutoff`."""

    keys: tuple[str, ...]
    cutoff: datetime

    def as_json(self) -> dict[str, Any]:
        """For the journal."""
        return {"columns": list(self.keys), "cutoff": self.cutoff.isoformat()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Baseline:
        """What `as_json` wrote."""
        return cls(tuple(values["columns"]), datetime.fromisoformat(values["cutoff"]))


class Scheme:
    """The regrouping of a layout's messages by `grouping`, in the words of one engine.

    Raises MissingEntityError where the layout can't be regrouped at all, UsageError where not by these keys.
    """

    def __init__(
        self,
        layout: Layout,
        tables: LayoutTables,
        dialect: Dialect,
        grouping: Grouping,
        baseline: Baseline | None = None,
        mapping: TableName | None = None,
        *,
        mentors_have_names: bool = True,
    ) -> None:
        self.baseline = baseline
        self._mentors_have_names = mentors_have_names
        self._mapping = mapping if grouping.mapping else None
        self.layout = layout
        self.tables = tables
        self.dialect = dialect
        self.grouping = grouping
        self.rule = rule_of(layout)
        self.messages = tables[self.rule.source]
        self.chats = tables[self.rule.into]
        self.link_key, self.chat_key = self._link()
        self._check_keys()

    # --- columns --------------------------------------------------------------------------------------------

    @cached_property
    def id(self) -> sa.Column[Any]:
        """What identifies a message."""
        keys = self.layout.entity(self.rule.source).primary_key
        if len(keys) != 1:
            raise MissingEntityError(f"'{self.rule.source}' has a key of {len(keys)} columns; a regrouping needs one.")
        return self.messages.c[keys[0]]

    @property
    def link(self) -> sa.Column[Any]:
        """The message's reference to its chat."""
        return self.messages.c[self.link_key]

    @property
    def chat_id(self) -> sa.Column[Any]:
        """The chat's column that messages refer to."""
        return self.chats.c[self.chat_key]

    @cached_property
    def values(self) -> dict[str, sa.ColumnElement[Any]]:
        """The grouping keys of a message, by name; a missing one that has a default has it."""
        return {key: self._value(key) for key in self.grouping.by}

    @cached_property
    def at(self) -> sa.ColumnElement[Any]:
        """When a message was sent; one that doesn't say counts as the oldest."""
        column = self.messages.c[self.rule.order[0]]
        return (
            sa.func.coalesce(column, sa.literal(_EPOCH, column.type), type_=column.type) if column.nullable else column
        )

    @cached_property
    def number(self) -> sa.ColumnElement[int]:
        """A number that stands for what a run must leave alone in a message."""
        if self.baseline is None:
            return sa.literal(0, sa.BigInteger())
        return self.dialect.row_number([self.messages.c[key] for key in self.baseline.keys])

    @cached_property
    def mapping(self) -> sa.Table | None:
        """Whose messages are which, by a file that was given: message by message, and a column for each filled key."""
        if self._mapping is None:
            return None
        keys = [sa.Column(key, self.messages.c[key].type, nullable=True) for key in self.filled]
        identity = sa.Column("id", own_type(self.id), primary_key=True, autoincrement=False)
        return sa.Table(self._mapping.name, sa.MetaData(), identity, *keys, schema=self._mapping.schema, **TEXT_OPTIONS)

    @property
    def filled(self) -> list[str]:
        """The message's own columns that take a default along with the chat."""
        return [key for key in self.grouping.by if key in self.rule.defaults]

    # --- conditions -----------------------------------------------------------------------------------------

    def eligible(self) -> list[sa.ColumnElement[bool]]:
        """What a message must fulfil to be moved: no chat yet, all keys it needs, and what was asked for."""
        return [self._unlinked(), *self.chosen()]

    def chosen(self) -> list[sa.ColumnElement[bool]]:
        """What was asked for, chat or no chat."""
        conditions: list[sa.ColumnElement[bool]] = [self.messages.c[key].is_not(None) for key in self._required_keys()]
        if self.grouping.user is not None:
            conditions.append(self.messages.c["user_id"] == self.grouping.user)
        if self.grouping.begins is not None:
            conditions.append(self.at >= sa.literal(self.grouping.begins, self.at.type))
        if self.grouping.ends is not None:
            conditions.append(self.at < sa.literal(self.grouping.ends, self.at.type))
        return conditions

    def settled(self) -> sa.ColumnElement[bool]:
        """What makes a message one that was there when the run began, as far as its time tells."""
        if self.baseline is None:
            return sa.true()
        return self.at <= sa.literal(self.baseline.cutoff, self.at.type)

    def standalone(self) -> list[sa.ColumnElement[bool]]:
        """What makes a message stay without a chat: a key that it lacks."""
        lacking = [self.messages.c[key].is_(None) for key in self._required_keys()]
        return [self._unlinked(), sa.or_(sa.false(), *lacking)]

    def link_by_row(self) -> sa.ColumnElement[str]:
        """The reference, spelled so that no engine takes the index on it: for ranges of the messages' own keys."""
        return self.dialect.concat([sa.type_coerce(self.link, sa.String()), sa.literal("")])

    def _unlinked(self) -> sa.ColumnElement[bool]:
        return self.link_by_row().is_(None)

    def _required_keys(self) -> list[str]:
        if self.grouping.null_keys == "general":
            return []
        return [key for key in self.grouping.by if self.messages.c[key].nullable and key not in self.rule.defaults]

    # --- chat IDs -------------------------------------------------------------------------------------------

    def digest(self, values: Mapping[str, sa.ColumnElement[Any]] | None = None) -> sa.ColumnElement[str]:
        """32 hex digits that stand for the grouping keys: the message's own, or `values`."""
        found = values or self.values
        return self.dialect.row_digest([found[key] for key in self.grouping.by])

    def chat_id_of(self, values: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[str]:
        """The ID of the chat that `values` stand for: the same on every engine, whatever ran before."""
        return self._named(self.dialect.row_digest(values))

    def group_chat_id(self, values: Mapping[str, sa.ColumnElement[Any]] | None = None) -> sa.ColumnElement[str]:
        """The ID of the one chat of a group: of the message's own, or of `values`."""
        return self._named(self.digest(values))

    def _named(self, digest: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
        match = _ID.fullmatch(self.rule.id)
        if match is None:
            raise MissingEntityError(f"regroup.id '{self.rule.id}' names no {{md5}}.")
        digits = sa.func.substr(digest, 1, int(match["digits"])) if match["digits"] else digest
        return self.dialect.concat([sa.literal(match["prefix"]), digits])

    # --- chats ----------------------------------------------------------------------------------------------

    @cached_property
    def companions(self) -> list[Companion]:
        """Entities that need a row before a chat can refer to them, or that the layout makes of distinct values."""
        found = [
            Companion(entity, column, key)
            for entity, pairs in self.rule.distinct.items()
            for column, key in pairs.items()
            if key in self.grouping.by
        ]
        for key in self.grouping.by:
            declared = self.layout.entity(self.rule.into).columns.get(key)
            if declared is not None and declared.references and declared.enforced:
                entity, _, column = declared.references.partition(".")
                found.append(Companion(entity, column or self.layout.entity(entity).primary_key[0], key))
        return found

    def chat_literals(self) -> dict[str, Any]:
        """The values that a new chat has by the layout's own word."""
        columns = self.layout.entity(self.rule.into).columns
        taken = {*self.grouping.by, self.chat_key, *FIRST, *LAST}
        return {
            key: columns[key].default
            for key in self.chats.columns.keys()  # noqa: SIM118  # iterating over it gives columns, not keys
            if key not in taken and columns[key].default not in (None, "now")
        }

    @property
    def mentors(self) -> sa.Table | None:
        """The mentors whose names are in titles, where there are any."""
        if self.grouping.title != "mentor" or self.rule.title is None or "mentor_id" not in self.grouping.by:
            return None
        named = self._mentors_have_names and "mentors" in self.tables and "title" in self.chats.c
        return self.tables["mentors"] if named else None

    def title(self, values: Mapping[str, sa.ColumnElement[Any]], known_name: sa.ColumnElement[str] | None) -> Any:
        """The title of a chat: by its mentor's name, or his ID where he has none; `General Chat` without a mentor."""
        if self.grouping.title != "mentor" or self.rule.title is None or "title" not in self.chats.c:
            return None
        mentor = values.get("mentor_id")
        if mentor is None:
            return sa.literal("General Chat")
        as_text = self.dialect.as_text(mentor)
        name = sa.func.coalesce(known_name, as_text) if known_name is not None else as_text
        before, _, after = self.rule.title.partition("{mentor}")
        parts = [sa.literal(part) if part else None for part in (before, after)]
        text = self.dialect.concat([part for part in (parts[0], name, parts[1]) if part is not None])
        fits = sa.func.substr(text, 1, getattr(self.chats.c.title.type, "length", None) or 255)
        return sa.case((mentor.is_(None), sa.literal("General Chat")), else_=fits)

    # --- making sure ----------------------------------------------------------------------------------------

    def _value(self, key: str) -> sa.ColumnElement[Any]:
        column = self.messages.c[key]
        default = self.rule.defaults.get(key)
        if default is None:
            return column
        choices: list[sa.ColumnElement[Any]] = [column]
        if self.mapping is not None:
            said = sa.select(self.mapping.c[key]).where(self.mapping.c.id == self.id)
            choices.append(said.correlate(self.messages).scalar_subquery())
        return sa.func.coalesce(*choices, sa.literal(default, column.type), type_=column.type)

    def _link(self) -> tuple[str, str]:
        """The message's column that names its chat, and the chat's own."""
        join = self.layout.join(self.rule.source, self.rule.into)
        free = [(own, its) for own, its in join.items() if own not in self.rule.by]
        if len(free) != 1:
            raise MissingEntityError(f"Nothing says how '{self.rule.source}' refer to '{self.rule.into}'.")
        self.tables.column(self.rule.source, free[0][0])
        return free[0]

    def _check_keys(self) -> None:
        for key in self.grouping.by:
            self.tables.column(self.rule.source, key)
        for key in self.rule.by:
            chat = self.chats.c.get(key)
            if chat is not None and not chat.nullable and key not in self.grouping.by:
                raise UsageError(
                    f"Without '{key}' nobody would say whose a chat is.", hint=f"--by {','.join(self.rule.by)}"
                )
        if self.grouping.user is not None and "user_id" not in self.messages.c:
            raise UsageError(f"Messages of the layout '{self.layout.name}' name no user.")


def own_type(column: sa.Column[Any]) -> Any:
    """The type of a column that holds the same key in a table of chatctl's own, and is a key there too."""
    declared = column.type
    return sa.String(255) if isinstance(declared, sa.String) and declared.length is None else declared


def rule_of(layout: Layout) -> Regroup:
    """How the layout's messages become chats; raises MissingEntityError where it doesn't say."""
    if layout.regroup is None:
        raise MissingEntityError(
            f"The layout '{layout.name}' doesn't say how messages become chats.",
            hint="Its file needs 'regroup'; of the built-in layouts mentor, ray and native have it.",
        )
    return layout.regroup
