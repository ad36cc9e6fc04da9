"""Checks of the purge: is there a policy, does something call it, and did the last call go well."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chatctl.domain.findings import Finding, Severity
from chatctl.domain.instants import from_epoch_ms
from chatctl.services.doctor.base import NotApplicableError, Registered, Surroundings, finding, registrar
from chatctl.services.doctor.database import REACHABLE
from chatctl.services.purge.running import KIND
from chatctl.stores.sql.journal import RunStatus

CHECKS: Registered = []
check = registrar("purge", CHECKS)

_CALL = re.compile(r"^[^#\n]*\bchatctl\b[^#\n]*\bpurge\b", re.MULTILINE)
_TIMEOUT_SECONDS = 10.0


def _require_purge(around: Surroundings) -> None:
    if around.layout.purge is None:
        raise NotApplicableError(f"the layout '{around.layout.name}' has no purge")


@check("purge-policy", "purge")
def policy(around: Surroundings) -> Iterator[Finding]:
    """Without a policy in the configuration a purge from cron has nobody's consent."""
    _require_purge(around)
    settings = around.settings
    if not settings.purge_configured:
        hint = "Set purge.retention_days in chatctl.yaml."
        yield finding("purge-policy", f"context {settings.context_name}", "No purge policy is configured.", hint)
    elif settings.protected and not settings.purge.unattended:
        message = "The context is protected, and purge.unattended is not true: cron is refused."
        yield finding("purge-policy", f"context {settings.context_name}", message, "Set purge.unattended: true.")


@check("purge-scheduled", "purge")
def scheduled(around: Surroundings) -> Iterator[Finding]:
    """Retention that nobody calls deletes nothing."""
    _require_purge(around)
    if not any(_CALL.search(text) for text in _schedules(around)):
        message = "No crontab and no systemd unit on this machine calls chatctl purge."
        hint = "Install one, unless another machine or a cluster's scheduler does it."
        fix = "chatctl purge schedule --print systemd"
        yield finding("purge-scheduled", "this machine", message, hint, fix=fix, severity=Severity.WARNING)


@check("purge-last-run", "purge", after=REACHABLE)
def last_run(around: Surroundings) -> Iterator[Finding]:
    """A purge that fails every night is noticed when the disk is full."""
    _require_purge(around)
    target = around.migration()
    with target.database.connect() as connection:
        runs = target.journal.runs.list(connection, (KIND,), 1) if target.journal.exists(connection) else []
    where = target.database.where
    if not runs:
        yield finding("purge-last-run", where, "No purge has run here.", "Run one by hand.", fix="chatctl purge plan")
        return
    (run,) = runs
    age = datetime.now(UTC) - from_epoch_ms(run.finished_ms or run.started_ms)
    if run.status is RunStatus.FAILED:
        message = f"The last purge, {run.id}, failed: {run.error or 'it says not why'}."
        yield finding("purge-last-run", run.id, message, "chatctl runs show says more.")
    elif age > around.limits.purge_age:
        message = f"The last purge, {run.id}, is {age / timedelta(hours=1):.0f} hours ago."
        yield finding("purge-last-run", run.id, message, "Look whether cron still calls it.")


def _schedules(around: Surroundings) -> Iterator[str]:
    """The text of every crontab and unit that may hold a call."""
    program = shutil.which("crontab", path=around.environ.get("PATH"))
    if program is not None:
        done = subprocess.run([program, "-l"], capture_output=True, timeout=_TIMEOUT_SECONDS, check=False, text=True)
        yield done.stdout
    home = Path(around.environ.get("HOME", "~")).expanduser()
    folders = [Path("/etc/cron.d"), Path("/etc/cron.daily"), Path("/etc/systemd/system"), home / ".config/systemd/user"]
    files = [Path("/etc/crontab"), *(file for folder in folders if folder.is_dir() for file in folder.iterdir())]
    for file in files:
        try:
            yield file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        except OSError:
            continue
