"""What must hold once a rollback is through. Only reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from chatctl.services.counters.evidence import gather
from chatctl.services.rollback import environment, steps
from chatctl.services.rollback.steps import RollbackPlan
from chatctl.services.rollback.target import RollbackTarget
from chatctl.stores.sql.inspection import columns_present, differences
from chatctl.stores.sql.journal.flags import RollbackFlags
from chatctl.stores.sql.tables import LayoutTables

_SHOWN = 5


def fingerprints(target: RollbackTarget, plan: RollbackPlan) -> dict[str, list[Any]]:
    """Rows and checksum of each of the layout's tables that the way back leaves, over the columns that it leaves."""
    migration = target.migration
    with migration.database.connect() as connection:
        now = migration.snapshot(connection)
        before = plan.schema if plan.schema is not None else now
        present = columns_present({path: text for path, text in now.items() if path in before})
        tables = LayoutTables(migration.layout, present=present)
        return {
            tables[key].name: list(migration.database.dialect.fingerprint(connection, tables[key])) for key in tables
        }


def verify(target: RollbackTarget, plan: RollbackPlan, totals: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each check with its name, whether it holds, and what is wrong where it doesn't."""
    checks = [*_schema(target, plan), *_rows(totals), *_losses(plan, totals)]
    if totals.get("conflicts"):
        found = f"{totals['conflicts']:,} stay archived: others of their IDs are there"
        checks.append(_check("rows: every archived conversation is back", [found]))
    if target.system.redis is not None and plan.find(steps.COUNTERS) is not None:
        archives = [each for each in target.system.archives if getattr(each, "ready", True)]
        standings = gather(target.system.redis, target.system.high_water, archives).standings
        behind = [each.scope.name for each in standings if (each.reading.number or 0) < each.highest]
        checks.append(_check("counters: none is behind an issued ID", behind))
    if plan.find(steps.ENVIRONMENT) is not None:
        same = environment.is_back(target.folder)
        checks.append(_check("environment: .env is .env.backup", [] if same else [".env differs"]))
    if plan.flags:
        with target.journal.database.connect() as connection:
            flags = RollbackFlags(target.journal, target.layout_name).read(connection)
        checks.append(_check("flags: set", [] if flags == dict(plan.flags) else [f"they are {flags}"]))
    return checks


def _schema(target: RollbackTarget, plan: RollbackPlan) -> list[dict[str, Any]]:
    migration = target.migration
    if plan.find(steps.SCHEMA) is None and plan.find(steps.RESTORE) is None:
        return []
    with migration.database.connect() as connection:
        heads = migration.whereabouts(connection).heads
        snapshot = migration.snapshot(connection)
    place = plan.revision in heads if plan.revision else not heads
    checks = [_check(f"schema: at {plan.revision or 'no revision'}", [] if place else [", ".join(heads) or "none"])]
    if plan.schema is not None:
        found = [str(each) for each in differences(plan.schema, snapshot)]
        checks.append(_check("schema: as it was when the run began", found))
    return checks


def _rows(totals: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What stays is after the schema went back as it was before; a restore has compared its tables itself."""
    before, now = totals.get("fingerprints"), totals.get("fingerprints_after", {})
    if before is None:
        return []
    return [
        _check(f"rows: {name} are as they were", [] if now.get(name) == then else [f"{now.get(name)}, were {then}"])
        for name, then in before.items()
    ]


def _losses(plan: RollbackPlan, totals: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Archived conversations that came back may go with the tables too, and are no writes since."""
    if "dropped" not in totals or plan.find(steps.PURGE) is not None:
        return []
    planned = [asdict(loss) for loss in plan.losses]
    same = _sorted(planned) == _sorted(totals["dropped"])
    return [_check("writes since: lost exactly as the plan said", [] if same else [f"lost {totals['dropped']}"])]


def _sorted(losses: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return sorted((loss["table"], loss["column"] or "", loss["rows"]) for loss in losses)


def _check(name: str, problems: list[str]) -> dict[str, Any]:
    return {"name": name, "ok": not problems, "detail": "; ".join(problems[:_SHOWN]) or None}
