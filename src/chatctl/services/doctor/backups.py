"""Checks of backups: is there a fresh one, and was one ever restored to see whether it can be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from chatctl.domain.findings import Finding
from chatctl.services.backup.reading import list_backups
from chatctl.services.doctor.base import Registered, Surroundings, finding, registrar

CHECKS: Registered = []
check = registrar("backup", CHECKS)


@check("backup-fresh", "migrate", "regroup", "purge", "backup")
def fresh(around: Surroundings) -> Iterator[Finding]:
    """What is lost since the last backup stays lost."""
    whole = _whole(around)
    where = around.repository().where
    if not whole:
        message = "There is no whole backup."
        yield finding(
            "backup-fresh", where, message, "Take one before anything is changed.", fix="chatctl backup create"
        )
        return
    age = datetime.now(UTC) - max(datetime.fromisoformat(item["started"]) for item in whole)
    if age > around.limits.backup_age:
        message = f"The newest backup is {_words(age)} old."
        yield finding("backup-fresh", where, message, "Take one now, and let cron do it.", fix="chatctl backup create")


@check("backup-drilled", "migrate", "backup")
def drilled(around: Surroundings) -> Iterator[Finding]:
    """A backup counts once it has been restored and compared."""
    where = around.repository().where
    drills = [item["drilled"] for item in _whole(around)]
    newest = max((datetime.fromisoformat(drill["at"]) for drill in drills if drill and drill["ok"]), default=None)
    if newest is None:
        message, fix = "No backup has been restored in a drill that went well.", "chatctl backup drill latest"
        yield finding("backup-drilled", where, message, "Drill the newest one.", fix=fix)
    elif datetime.now(UTC) - newest > around.limits.drill_age:
        message = f"The last drill is {_words(datetime.now(UTC) - newest)} ago."
        yield finding("backup-drilled", where, message, "Drill the newest one.", fix="chatctl backup drill latest")


def _whole(around: Surroundings) -> list[dict[str, Any]]:
    """The whole backups of this context; those that a restore took for safety don't count."""
    rows = list_backups(around.repository()).data["backups"]
    ours = around.settings.context_name
    return [row for row in rows if row["state"] == "complete" and row["context"] == ours and not row["reason"]]


def _words(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.0f} days"
