"""Shows the settings and checks them. Connects to nothing: whether servers answer is the doctor's business."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from chatctl.domain.result import Notice, Result
from chatctl.errors import ConfigurationError
from chatctl.settings.layout import configured_layout
from chatctl.settings.model import Setting, Settings
from chatctl.settings.secrets import Secret


def show(settings: Settings, *, with_sources: bool = False) -> Result:
    """Every value of the chosen context, passwords masked.

    A secret that can't be read is shown as its reference, with a warning. The settings' own warnings are the
    caller's to show.
    """
    warnings: list[Notice] = []
    rows = []
    for entry in settings.entries.values():
        value, problem = _shown(entry)
        row = {"key": entry.key, "value": value}
        rows.append({**row, "source": entry.source} if with_sources else row)
        warnings += [Notice.of(problem)] if problem else []
    return Result({**_heading(settings), "settings": rows}, warnings=tuple(warnings))


def check(settings: Settings) -> Result:
    """Reads every secret, the layout and what else the chosen context names.

    The files' keys and types of every context were checked when `settings` were loaded. Raises ConfigurationError
    that says all that is wrong, each with its place.
    """
    checks: dict[str, Callable[[], object]] = {
        entry.key: entry.value.reveal for entry in settings.entries.values() if isinstance(entry.value, Secret)
    }
    checks["layout"] = lambda: configured_layout(settings)
    if settings.migrations_script_location is not None:
        checks["migrations.script_location"] = lambda: _check_script_location(settings)
    problems = [problem for work in checks.values() if (problem := _problem(work))]
    if problems:
        raise _all_of(problems)
    done = [{"name": name, "ok": True, "source": settings.source(name)} for name in checks]
    return Result({**_heading(settings), "checks": done, "ok": True})


def _heading(settings: Settings) -> dict[str, Any]:
    return {
        "context": settings.context_name,
        "contexts": list(settings.contexts),
        "files": list(settings.files),
        "data_dir": str(settings.data_dir),
    }


def _shown(entry: Setting) -> tuple[Any, ConfigurationError | None]:
    if not isinstance(entry.value, Secret):
        return entry.value, None
    try:
        return entry.value.shown(), None
    except ConfigurationError as problem:
        return str(entry.value), problem


def _check_script_location(settings: Settings) -> None:
    place = settings.migrations_script_location
    # Alembic's `package:folder` is found by importing the package, which may not be installed beside chatctl.
    if place and ":" not in place and not Path(place).is_dir():
        source = settings.source("migrations.script_location")
        raise ConfigurationError(
            f"{source}: migrations.script_location: there is no folder {place}.",
            hint="It is the folder that holds the Alembic project's env.py.",
        )


def _problem(work: Callable[[], object]) -> ConfigurationError | None:
    try:
        work()
    except ConfigurationError as problem:
        return problem
    return None


def _all_of(problems: list[ConfigurationError]) -> ConfigurationError:
    if len(problems) == 1:
        return problems[0]
    hints = list(dict.fromkeys(problem.hint for problem in problems if problem.hint))
    return ConfigurationError("\n".join(problem.message for problem in problems), hint="\n".join(hints) or None)
