"""What a page of a run shows besides what it did: how large tables were and are, and what can be proven."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatctl.domain.restore_points import RestorePoint
from chatctl.errors import ChatctlError
from chatctl.layouts.model import Layout
from chatctl.services.migrate import reporting
from chatctl.services.migrate.target import MigrationTarget
from chatctl.services.regroup import verifying
from chatctl.services.regroup.target import KIND, RegroupTarget
from chatctl.services.runs.target import RunsTarget
from chatctl.stores.sql.journal import Run

Row = dict[str, Any]


def sizes(target: RunsTarget, run_id: str, layout: Layout) -> list[Row]:
    """Rows and bytes of each table when the run began and now, as far as the server's statistics know them.

    Empty where the run noted no restore point. Raises NotFoundError.
    """
    point = RestorePoint.of(target.get(run_id).totals)
    if point is None or not point.sizes:
        return []
    with target.database.connect() as connection:
        now = target.database.dialect.plain_sizes(connection, layout.tables | set(point.sizes))
    gone = (None, None)
    return [
        {"table": table, "rows_before": rows, "rows_now": rows_now, "bytes_before": size, "bytes_now": size_now}
        for table in sorted(now.keys() | point.sizes.keys())
        for (rows, size), (rows_now, size_now) in [(point.sizes.get(table, gone), now.get(table, gone))]
    ]


def verification(
    run: Run, regrouping: Callable[[], RegroupTarget], migrating: Callable[[], MigrationTarget]
) -> list[Row]:
    """What can still be proven of the run: each check with what was expected and what is so.

    Empty for runs of other kinds, and where it was sealed or undone, so that its records are gone.
    """
    try:
        if run.kind == KIND:
            checks: list[Row] = verifying.verify(regrouping(), run.id).data["checks"]
            return checks
        if run.kind.startswith("migrate "):
            drift = len(reporting.check(migrating()).data["drift"])
            return [{"name": "differences_from_the_recorded_schema", "ok": not drift, "expected": 0, "actual": drift}]
    except (ChatctlError, KeyError):
        # The page says what it can, of an older chatctl's runs too; `regroup verify` and `migrate check` say why not.
        return []
    return []
