"""`doctor --grants`: the least privileges that each command group needs, as statements of the engine at hand.

grants.yaml says what each group needs; the layout says on which tables.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict

from chatctl.domain.result import Notice, Result
from chatctl.errors import UsageError
from chatctl.layouts.model import Layout
from chatctl.layouts.rules import Regroup
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dialects.granting import Demand, Need, demands


class Group(BaseModel):
    """What one command group needs, as grants.yaml has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    commands: list[str]
    tables: dict[str, list[str]] = {}
    own: Literal["read", "work"] | None = None
    schema_: Literal["change"] | None = None
    scratch: bool = False
    dumps: bool = False
    restores: bool = False
    drills: bool = False


@cache
def groups() -> dict[str, Group]:
    """Every group by name."""
    text = (resources.files("chatctl.services.doctor") / "grants.yaml").read_text(encoding="utf-8")
    items = yaml.safe_load(text)
    return {
        name: Group.model_validate({("schema_" if key == "schema" else key): value for key, value in item.items()})
        for name, item in items.items()
    }


@dataclass(frozen=True)
class Ground:
    """The databases that are granted on: the context's own, and the application's permission database, if any."""

    database: Database
    permissions: Database | None
    layout: Layout
    journal_schema: str | None


def grants(ground: Ground, account: str, wanted: Sequence[str] = ()) -> Result:
    """The statements for the groups `wanted` (all that the layout can use, if none are named).

    Raises UsageError for an unknown group, CannotConnectError where a server doesn't answer.
    """
    unknown = [name for name in wanted if name not in groups()]
    if unknown:
        raise UsageError(f"No group is called '{unknown[0]}'.", hint=f"There are {', '.join(groups())}.")
    rows: list[dict[str, Any]] = []
    for name, group in groups().items():
        if name not in wanted and (wanted or not _of_use(group, ground.layout)):
            continue
        elsewhere = "permissions" in group.tables
        database = ground.permissions if elsewhere else ground.database
        made: list[str] = []
        if database is not None:
            need = need_of(group, ground.layout, ground.journal_schema)
            with database.connect() as connection:
                made = [demand.statement for demand in demands(connection, need, account)]
        rows.append({"group": name, "title": group.title, "commands": group.commands, "statements": made})
    notes = () if any(row["statements"] for row in rows) else (_files_only(ground.database),)
    return Result({"engine": ground.database.dialect.name, "account": account, "groups": rows}, warnings=notes)


def lacking(database: Database, layout: Layout, journal_schema: str | None, group: str) -> list[Demand]:
    """What the account that is connected lacks of what `group` needs."""
    need = need_of(groups()[group], layout, journal_schema)
    with database.connect() as connection:
        return [demand for demand in demands(connection, need, database.url.username or "") if demand.missing]


def need_of(group: Group, layout: Layout, journal_schema: str | None) -> Need:
    """What `group` needs of a database in that `layout`."""
    tables: dict[str, set[str]] = {}
    for part, privileges in group.tables.items():
        for table in _tables(part, layout):
            tables.setdefault(table, set()).update(privileges)
    return Need(
        tables={table: sorted(privileges) for table, privileges in sorted(tables.items())},
        own=group.own,
        own_schema=journal_schema,
        changes_schema=group.schema_ == "change",
        layout_tables=sorted(entity.table for entity in layout.entities.values()),
        scratch=group.scratch,
        dumps=group.dumps,
        restores=group.restores,
        drills=group.drills,
    )


def _tables(part: str, layout: Layout) -> Iterator[str]:
    """The tables that play a part in the layout."""
    entities = {key: entity.table for key, entity in layout.entities.items()}
    if part == "all":
        yield from entities.values()
    elif part == "permissions":
        yield from (entity.table for entity in layout.permissions.values())
    elif part.startswith("regroup.") and layout.regroup is not None:
        yield from (entities[key] for key in _regrouped(part, layout, layout.regroup))
    elif part.startswith("purge.") and layout.purge is not None:
        yield from (
            [entities[layout.purge.what]] if part == "purge.what" else [entities[key] for key in layout.purge.children]
        )


def _regrouped(part: str, layout: Layout, regroup: Regroup) -> Iterator[str]:
    if part == "regroup.owners":
        columns = layout.entities[regroup.into].columns.values()
        referred = (column.references.partition(".")[0] for column in columns if column.references)
        yield from {*regroup.distinct, *referred} - {regroup.into, regroup.source}
    else:
        yield regroup.source if part == "regroup.from" else regroup.into


def _of_use(group: Group, layout: Layout) -> bool:
    wanted = {part.partition(".")[0] for part in group.tables}
    if "regroup" in wanted:
        return layout.regroup is not None
    if "purge" in wanted:
        return layout.purge is not None
    return "permissions" not in wanted or bool(layout.permissions)


def _files_only(database: Database) -> Notice:
    return Notice(
        "no_accounts",
        f"{database.dialect.title} has no accounts: who may write the file may do everything.",
        "Give the file and its folder to the user that chatctl runs as.",
    )
