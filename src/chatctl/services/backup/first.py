"""A backup that is taken before a run begins: the run's restore point names it."""

from __future__ import annotations

from collections.abc import Callable

from chatctl.services.backup.creating import CreateRequest, take
from chatctl.services.backup.parts import System, Work


def taker(system: System, work: Work, keep_environment: Callable[[], bool]) -> Callable[[], str]:
    """What takes the backup and tells its ID. The application's `.env` is kept beside itself, by `keep_environment`."""

    def take_backup() -> str:
        work.progress.note("Taking a backup first.")
        manifest = take(system, work, CreateRequest())
        if keep_environment():
            work.progress.note("Copied .env to .env.backup.")
        return manifest.id

    return take_backup
