"""What a rule sees: one statement, the table that it meets, the engine, the session, and what is in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from chatctl.services.lint.catalog import Catalog, Table
from chatctl.services.lint.comparing import Comparison, Difference
from chatctl.services.lint.ddl import AddColumn, AddIndex, AlterTable, ChangeColumn, Column, Ddl, DropColumn, DropIndex
from chatctl.services.lint.engines import OnlineDdl
from chatctl.services.lint.findings import Harm, Severity

_OFF = ("0", "off", "false")
ActionType = TypeVar("ActionType")

#: Whether a table (column None) or one of its columns is in use: None where nobody knows.
InUse = Callable[[str, str | None], bool | None]


@dataclass(frozen=True)
class Complaint:
    """What a rule has to say about one change. `severity` and `hint` are the rule's own where they are None."""

    message: str
    harms: frozenset[Harm] = frozenset()
    severity: Severity | None = None
    hint: str | None = None


@dataclass(frozen=True)
class Redefinition:
    """A column that MODIFY or CHANGE defines anew: `differences` is None where its old definition isn't known."""

    action: ChangeColumn
    old: Column | None
    differences: frozenset[Difference] | None

    def has(self, difference: Difference) -> bool:
        """Whether the definitions are known to differ so."""
        return self.differences is not None and difference in self.differences


@dataclass(frozen=True)
class Change:
    """One statement in its place.

    `complaints` is what the rules before said of it, and `rewritten_at` where the same table was rewritten before;
    both are for the rules that look at the others' answers.
    """

    statement: Ddl
    catalog: Catalog
    engine: OnlineDdl | None
    session: Mapping[str, str]
    in_use: InUse
    complaints: tuple[Complaint, ...] = ()
    rewritten_at: str | None = field(default=None)

    @property
    def alter(self) -> AlterTable | None:
        """The statement, if it alters a table."""
        return self.statement if isinstance(self.statement, AlterTable) else None

    @cached_property
    def table(self) -> Table | None:
        """The altered table as it is before, if it is known."""
        return self.catalog.get(self.alter.table) if self.alter else None

    def actions(self, kind: type[ActionType]) -> Iterator[ActionType]:
        """The statement's actions of that kind."""
        if self.alter is not None:
            yield from (action for action in self.alter.actions if isinstance(action, kind))

    @cached_property
    def added_columns(self) -> tuple[Column, ...]:
        """The columns that ADD COLUMN really adds."""
        known = self.table
        return tuple(
            action.column for action in self.actions(AddColumn) if not (known and known.column(action.column.name))
        )

    @cached_property
    def redefinitions(self) -> tuple[Redefinition, ...]:
        """The columns that are defined anew."""
        return tuple(self._redefinition(action) for action in self.actions(ChangeColumn))

    def _redefinition(self, action: ChangeColumn) -> Redefinition:
        old = self.table.column(action.name) if self.table else None
        if old is None or self.table is None or self.engine is None:
            return Redefinition(action, old, None)
        return Redefinition(action, old, Comparison(self.table, old, action.column, self.engine).differences())

    @property
    def checks_foreign_keys(self) -> bool:
        """Whether a new foreign key is checked against the rows."""
        variables = {**self.session, **(self.alter.variables if self.alter else {})}
        return variables.get("foreign_key_checks", "1") not in _OFF

    @property
    def rebuild_blocks(self) -> bool:
        """Whether the table keeps a FULLTEXT or SPATIAL index: then no rebuild lets writes pass."""
        if self.table is None:
            return False
        columns = {action.name.lower() for action in self.actions(DropColumn)}
        indexes = {(action.name or "").lower() for action in self.actions(DropIndex)}
        return any(
            index.kind in ("fulltext", "spatial")
            and index.name.lower() not in indexes
            and not columns.issuperset(map(str.lower, index.columns))
            for index in self.table.indexes
        )

    @property
    def rebuild_harms(self) -> frozenset[Harm]:
        """What a rebuild of the table does."""
        return frozenset({Harm.REWRITES, Harm.BLOCKS}) if self.rebuild_blocks else frozenset({Harm.REWRITES})

    @property
    def changes_columns_instantly(self) -> bool:
        """Whether the table's rows are kept so that columns come, go and move without a rebuild."""
        table = self.table
        return table is None or not (
            table.has_kind("fulltext") or table.was_searched or table.row_format == "COMPRESSED"
        )

    @property
    def newly_required(self) -> list[str]:
        """The columns of a new primary key that an INSERT could leave out so far."""
        keys = [action.index for action in self.actions(AddIndex) if action.index.kind == "primary"]
        found = [self.table.column(name) for key in keys for name in key.columns] if self.table else []
        return [column.name for column in found if column is not None and column.nullable and column.default is None]

    @property
    def builds_index(self) -> bool:
        """Whether the statement builds an index, other than the one of a new primary key."""
        keyed = any(column.key not in (None, "primary") for column in self.added_columns)
        return keyed or any(action.index.kind != "primary" for action in self.actions(AddIndex))
