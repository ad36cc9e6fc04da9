"""Who attends a migration, and what they ask of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chatctl.domain.progress import Progress, StopSignal
from chatctl.stores.sql.dialects.gentle import Gentleness


@dataclass(frozen=True)
class Attendance:
    """Who watches an execution, who may stop it, how gentle it is, and what takes a backup first (its ID).

    `has_seen_plan` says that a plan has just been made for the same, so that nothing keeps one from being made.
    """

    progress: Progress
    stop: StopSignal
    gentleness: Gentleness = field(default_factory=Gentleness)
    take_backup: Callable[[], str] | None = None
    has_seen_plan: bool = False
