"""What a layout says, as plain values: entities, columns, types, phases.

A column's *key* is chatctl's word (`user_id`); its *name* is the application's (`userId`). Nothing here knows
SQLAlchemy; `chatctl.stores.sql.tables` makes tables of it. The rules for grouping, retention and Redis are in
`chatctl.layouts.rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from chatctl.errors import MissingEntityError
from chatctl.layouts.rules import Declared, Purge, RedisKey, Regroup, Requires, Rollback, State


class Phase(Enum):
    """The three shapes that a migrating schema passes through, in order."""

    LEGACY = "legacy"
    EXPAND = "expand"
    CONTRACT = "contract"

    def at_least(self, other: Phase) -> bool:
        """Whether this phase is `other` or a later one."""
        order = list(Phase)
        return order.index(self) >= order.index(other)


class Kind(Enum):
    """The value types a column may have, in chatctl's words."""

    TEXT = "text"
    LONGTEXT = "longtext"
    INTEGER = "integer"
    BIGINT = "bigint"
    BOOLEAN = "boolean"
    FLOAT = "float"
    DECIMAL = "decimal"
    DATETIME = "datetime"
    EPOCH = "epoch"
    JSON = "json"
    UUID = "uuid"


#: Ticks a second, by the unit of an epoch timestamp.
EPOCH_UNITS: dict[str, int] = {"s": 1, "ms": 1_000, "us": 1_000_000}

_TYPE = re.compile(r"(?P<kind>[a-z]+)(?:\((?P<arguments>[a-z0-9, ]+)\))?")


class ColumnType(BaseModel):
    """A column's type: a kind and what stands in its brackets.

    `text(64)` has at most 64 characters, `datetime(3)` keeps milliseconds, `epoch(ms)` is an integer of
    milliseconds since 1970-01-01 UTC, `decimal(10,2)` is exact.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    arguments: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> ColumnType:
        """Reads `text(64)`; raises ValueError saying what was expected."""
        match = _TYPE.fullmatch(text.strip().lower())
        kinds = {kind.value: kind for kind in Kind}
        if match is None or match["kind"] not in kinds:
            raise ValueError(f"expected a type such as text(64), datetime(3) or epoch(ms), found '{text}'")
        arguments = tuple(part.strip() for part in (match["arguments"] or "").split(",") if part.strip())
        parsed = cls(kind=kinds[match["kind"]], arguments=arguments)
        parsed._check(text)
        return parsed

    def _check(self, text: str) -> None:
        if self.kind is Kind.EPOCH and (len(self.arguments) != 1 or self.arguments[0] not in EPOCH_UNITS):
            raise ValueError(f"expected epoch(s), epoch(ms) or epoch(us), found '{text}'")
        if self.kind is not Kind.EPOCH and not all(part.isdigit() for part in self.arguments):
            raise ValueError(f"expected numbers in the brackets, found '{text}'")

    @property
    def length(self) -> int | None:
        """The most characters a text may have, or None."""
        return int(self.arguments[0]) if self.kind is Kind.TEXT and self.arguments else None

    @property
    def precision(self) -> int:
        """The decimal digits of a second that a datetime keeps (6 where the layout doesn't say)."""
        return int(self.arguments[0]) if self.kind is Kind.DATETIME and self.arguments else 6

    @property
    def ticks_per_second(self) -> int:
        """The unit of an epoch timestamp."""
        return EPOCH_UNITS[self.arguments[0]]

    @property
    def is_time(self) -> bool:
        """Whether the values are instants."""
        return self.kind in (Kind.DATETIME, Kind.EPOCH)

    def __str__(self) -> str:
        brackets = f"({','.join(self.arguments)})" if self.arguments else ""
        return f"{self.kind.value}{brackets}"


def _as_type(value: Any) -> Any:
    return ColumnType.parse(value) if isinstance(value, str) else value


class Lifespan(Declared):
    """When a table, column or index exists: from `since` on, and no longer once `until` is reached."""

    since: Phase = Phase.LEGACY
    until: Phase | None = None

    def exists_at(self, phase: Phase) -> bool:
        """Whether it exists once `phase` is applied."""
        return phase.at_least(self.since) and not (self.until and phase.at_least(self.until))


class Column(Lifespan):
    """One column.

    `key: true` marks the parts of the primary key; `auto` ones are handed out by the server; `optional` ones may
    be missing in an application. `references` names an entity (its primary key) or one of its columns
    (`chats.chat_id`); with `enforced: false` the application has no foreign key for it. `choices` are the only
    values allowed, as a CHECK. `default: now` on an instant is the server's clock in UTC.
    """

    name: str = Field(min_length=1)
    type: Annotated[ColumnType, BeforeValidator(_as_type)]
    primary: bool = Field(default=False, alias="key")
    auto: bool = False
    nullable: bool = False
    optional: bool = False
    references: str | None = None
    enforced: bool = True
    on_delete: Literal["cascade", "set null", "restrict", "no action"] | None = None
    default: str | int | float | bool | None = None
    choices: list[str] = []


class Index(Lifespan):
    """An index over columns, named by their keys; a unique one is a UNIQUE constraint."""

    name: str = Field(min_length=1)
    columns: list[str] = Field(min_length=1)
    unique: bool = False


class Entity(Lifespan):
    """One table of the application, in chatctl's words.

    `belongs_to` says how a row finds its parent where that takes more than one column's `references`:
    parent entity → {own column: the parent's column}.
    """

    table: str = Field(min_length=1)
    schema_: str | None = Field(default=None, alias="schema")
    optional: bool = False
    columns: dict[str, Column] = Field(min_length=1)
    indexes: list[Index] = []
    belongs_to: dict[str, dict[str, str]] = {}

    @property
    def path(self) -> str:
        """The table's name, behind that of its schema where it has one of its own: `crm/threads`."""
        return f"{self.schema_}/{self.table}" if self.schema_ else self.table

    @property
    def primary_key(self) -> list[str]:
        """The keys of the columns that identify a row."""
        return [key for key, column in self.columns.items() if column.primary]

    def columns_at(self, phase: Phase) -> dict[str, Column]:
        """The columns that exist once `phase` is applied."""
        return {key: column for key, column in self.columns.items() if column.exists_at(phase)}


class Layout(Declared):
    """A chat system: what its tables, columns, timestamps, IDs and Redis keys are called.

    `permissions` are the tables of the permission source: another database, which chatctl only ever reads and no
    migration touches.
    """

    name: str = Field(alias="layout", pattern=r"^[a-z][a-z0-9_-]*$")
    title: str
    engines: list[Literal["sqlite", "mariadb", "mysql", "postgresql"]] = [
        "sqlite", "mariadb", "mysql", "postgresql",
    ]  # fmt: skip
    entities: dict[str, Entity] = Field(min_length=1)
    states: dict[Literal["before", "after"], State] = {}
    regroup: Regroup | None = None
    purge: Purge | None = None
    redis: dict[str, RedisKey] = {}
    permissions: dict[str, Entity] = {}
    migrations: str | None = None
    rollback: Rollback = Rollback()
    requires: Requires = Requires()

    def dangling(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Every name in the file that leads nowhere: where it stands (keys from the top), and what is wrong."""
        for entity_key, entity in self.entities.items():
            yield from self._dangling_entity(("entities", entity_key), entity)
        yield from self._dangling_regroup()
        yield from self._dangling_purge()

    def _dangling_entity(self, place: tuple[str, str], entity: Entity) -> Iterator[tuple[tuple[str | int, ...], str]]:
        if not entity.primary_key:
            yield (*place, "columns"), "expected at least one column with 'key: true'"
        for key, column in entity.columns.items():
            if column.references and self._target(column.references) is None:
                yield (*place, "columns", key, "references"), f"no '{column.references}' to reference"
        for position, index in enumerate(entity.indexes):
            for key in index.columns:
                if key not in entity.columns:
                    yield (*place, "indexes", position), f"no column '{key}' to index"
        for parent, pairs in entity.belongs_to.items():
            if not all(own in entity.columns and self._target(f"{parent}.{its}") for own, its in pairs.items()):
                yield (*place, "belongs_to", parent), "expected pairs of own column: the parent's column"

    def _target(self, reference: str) -> tuple[str, str] | None:
        """The entity and column that `chats` or `chats.chat_id` points to, or None."""
        parent, _, key = reference.partition(".")
        if parent not in self.entities:
            return None
        found = key or self.entities[parent].primary_key[0]
        return (parent, found) if found in self.entities[parent].columns else None

    def _dangling_regroup(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        rule = self.regroup
        if rule is None:
            return
        for key in (rule.source, rule.into, *rule.distinct):
            if key not in self.entities:
                yield ("regroup",), f"no entity '{key}'"
                return
        for key in (*rule.by, *rule.order, *rule.defaults):
            if key not in self.entities[rule.source].columns:
                yield ("regroup",), f"no column '{key}' in '{rule.source}'"

    def _dangling_purge(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        rule = self.purge
        if rule is None:
            return
        for key in (rule.what, *rule.children):
            if key not in self.entities:
                yield ("purge",), f"no entity '{key}'"
                return
        for key in filter(None, (rule.clock, rule.account, *rule.exempting_columns)):
            if key not in self.entities[rule.what].columns:
                yield ("purge",), f"no column '{key}' in '{rule.what}'"
        for position, child in enumerate(rule.children):
            if not any(self.join(child, parent) for parent in (rule.what, *rule.children[:position])):
                yield ("purge", "with"), f"nothing says how '{child}' belongs to '{rule.what}'"

    def join(self, child: str, parent: str) -> dict[str, str]:
        """How a row of `child` finds its `parent`: {child's column: parent's column}, empty where it can't.

        Declared by `belongs_to`, else the column that references the parent.
        """
        declared = self.entities[child].belongs_to.get(parent)
        if declared:
            return dict(declared)
        for key, column in self.entities[child].columns.items():
            target = self._target(column.references) if column.references else None
            if target and target[0] == parent:
                return {key: target[1]}
        return {}

    def entity(self, key: str) -> Entity:
        """The entity called `key`; raises MissingEntityError naming those there are."""
        try:
            return self.entities[key]
        except KeyError:
            raise MissingEntityError(
                f"The layout '{self.name}' has no '{key}'.", hint=f"It has: {', '.join(sorted(self.entities))}."
            ) from None

    def entities_at(self, phase: Phase) -> dict[str, Entity]:
        """The entities whose tables exist once `phase` is applied."""
        return {key: entity for key, entity in self.entities.items() if entity.exists_at(phase)}

    @property
    def tables(self) -> set[str]:
        """The names of its tables, in every phase."""
        return {entity.table for entity in self.entities.values()}

    @property
    def starts_empty(self) -> bool:
        """Whether the legacy state is a database without any of the layout's tables."""
        return not self.entities_at(Phase.LEGACY)
