"""Schema changes as plain values: what `parsing` makes and `rules` read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

IndexKind = Literal["primary", "unique", "fulltext", "spatial", "index"]


@dataclass(frozen=True)
class SqlType:
    """A column's type under its shortest name (`int`, not `INTEGER`), with what stands in its brackets."""

    name: str
    arguments: tuple[str, ...] = ()
    unsigned: bool = False

    @property
    def length(self) -> int | None:
        """The number in the brackets, if it is one."""
        return int(self.arguments[0]) if self.arguments and self.arguments[0].isdigit() else None

    @property
    def is_text(self) -> bool:
        """Whether its values have a character set."""
        return self.name in ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set")

    def __str__(self) -> str:
        brackets = f"({','.join(self.arguments)})" if self.arguments else ""
        return f"{self.name.upper()}{brackets}{' UNSIGNED' if self.unsigned else ''}"


@dataclass(frozen=True)
class Column:
    """A column's definition. `charset` and `collation` are None where the table's count."""

    name: str
    type: SqlType
    nullable: bool = True
    default: str | None = None
    charset: str | None = None
    collation: str | None = None
    auto_increment: bool = False
    generated: Literal["virtual", "stored"] | None = None
    expression: str = ""
    key: IndexKind | None = None
    references: str | None = None
    check: str | None = None
    compressed: bool = False

    @property
    def required(self) -> bool:
        """Whether an INSERT must name it; an ENUM's first member is its default."""
        optional = self.nullable or self.default is not None or self.auto_increment or self.generated is not None
        return not optional and self.type.name != "enum"


@dataclass(frozen=True)
class Position:
    """FIRST, or AFTER a column."""

    after: str | None = None


@dataclass(frozen=True)
class Index:
    """An index, a key or the primary key (without a name)."""

    name: str
    kind: IndexKind
    columns: tuple[str, ...]


# --- what an ALTER TABLE does -------------------------------------------------------------------------------


@dataclass(frozen=True)
class AddColumn:
    """ADD COLUMN."""

    column: Column
    position: Position | None = None
    if_not_exists: bool = False


@dataclass(frozen=True)
class DropColumn:
    """DROP COLUMN."""

    name: str


@dataclass(frozen=True)
class ChangeColumn:
    """MODIFY, or CHANGE, which may rename too."""

    name: str
    column: Column
    position: Position | None = None


@dataclass(frozen=True)
class RenameColumn:
    """RENAME COLUMN."""

    name: str
    to: str


@dataclass(frozen=True)
class AlterDefault:
    """ALTER COLUMN … SET DEFAULT, or DROP DEFAULT where `default` is None."""

    name: str
    default: str | None


@dataclass(frozen=True)
class RetypeColumn:
    """PostgreSQL's ALTER COLUMN … TYPE; `computed` where USING says how its values are made."""

    name: str
    type: SqlType
    collation: str | None = None
    computed: bool = False


@dataclass(frozen=True)
class SetNullable:
    """PostgreSQL's ALTER COLUMN … SET NOT NULL and DROP NOT NULL."""

    name: str
    nullable: bool


@dataclass(frozen=True)
class AddIndex:
    """ADD INDEX, UNIQUE, FULLTEXT, SPATIAL or PRIMARY KEY."""

    index: Index


@dataclass(frozen=True)
class DropIndex:
    """DROP INDEX, or DROP PRIMARY KEY where the name is None."""

    name: str | None


@dataclass(frozen=True)
class AddForeignKey:
    """ADD FOREIGN KEY."""

    name: str
    columns: tuple[str, ...]
    parent: str


@dataclass(frozen=True)
class DropConstraint:
    """DROP FOREIGN KEY, DROP CHECK or DROP CONSTRAINT."""

    name: str


@dataclass(frozen=True)
class AddCheck:
    """ADD CHECK."""

    name: str
    expression: str


@dataclass(frozen=True)
class ConvertCharset:
    """CONVERT TO CHARACTER SET."""

    charset: str
    collation: str | None = None


@dataclass(frozen=True)
class RenameTable:
    """RENAME TO, or one pair of a RENAME TABLE."""

    to: str


@dataclass(frozen=True)
class TableOption:
    """ENGINE=…, ROW_FORMAT=…, ALGORITHM=…, LOCK=…, FORCE and the like; names in upper case."""

    name: str
    value: str = ""


@dataclass(frozen=True)
class OtherAction:
    """What changes neither rows nor columns: its words."""

    text: str


Action = (
    AddColumn | DropColumn | ChangeColumn | RenameColumn | AlterDefault | RetypeColumn | SetNullable | AddIndex
    | DropIndex | AddForeignKey | DropConstraint | AddCheck | ConvertCharset | RenameTable | TableOption | OtherAction
)  # fmt: skip


# --- statements ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CreateTable:
    """CREATE TABLE."""

    table: str
    columns: tuple[Column, ...] = ()
    indexes: tuple[Index, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class AlterTable:
    """ALTER TABLE, CREATE INDEX, DROP INDEX or OPTIMIZE TABLE, with the variables that SET STATEMENT sets for it."""

    table: str
    actions: tuple[Action, ...]
    variables: Mapping[str, str] = field(default_factory=dict)

    def option(self, name: str) -> str | None:
        """The value of a table option in upper case, or None where the statement doesn't set it."""
        found = [item.value.upper() for item in self.actions if isinstance(item, TableOption) and item.name == name]
        return found[-1] if found else None


@dataclass(frozen=True)
class DropTables:
    """DROP TABLE."""

    tables: tuple[str, ...]


@dataclass(frozen=True)
class RenameTables:
    """RENAME TABLE: pairs of old and new name."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class LockTables:
    """LOCK TABLES … WRITE, or READ."""

    tables: tuple[str, ...]


@dataclass(frozen=True)
class SetVariables:
    """SET of session variables; names in lower case."""

    values: Mapping[str, str]


Ddl = CreateTable | AlterTable | DropTables | RenameTables | LockTables | SetVariables
