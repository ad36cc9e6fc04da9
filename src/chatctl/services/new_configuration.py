"""Writes a first chatctl.yaml: what the flags and variables say, and what the database turns out to be.

A password is never written: the file names the variable that holds it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from chatctl.domain.result import Notice, Result
from chatctl.errors import CannotConnectError, ConfigurationError, ConsentRequiredError
from chatctl.layouts import Layout, builtin_names, load_layout
from chatctl.settings import urls
from chatctl.settings.layout import configured_layout
from chatctl.settings.model import Settings
from chatctl.settings.secrets import Secret

UNKNOWN = "unknown"

#: Given layouts by the name that the file would give them, those that the database fits, best first, each with the
#: state that it is in. Writes nothing. Raises CannotConnectError.
Look = Callable[[Mapping[str, Layout]], Sequence[tuple[str, str]]]


def create(settings: Settings, target: Path, look: Look, *, force: bool, dry_run: bool) -> Result:
    """Writes `target` for the context that `settings` describe, and says what `look` found.

    A layout that was named is kept, and then the database need not answer. Raises ConsentRequiredError where
    `target` exists and `force` isn't given.
    """
    if target.exists() and not (force or dry_run):
        raise _exists(target)
    found, warnings = _look(settings, look)
    layout = _choose(settings, found)
    state = dict(found).get(layout, UNKNOWN)
    content = _content(settings, layout, state, target.absolute().parent)
    if not dry_run:
        _write(target, content, force=force)
    data = {
        "path": str(target),
        "written": not dry_run,
        "context": settings.context_name,
        "layout": layout,
        "state": state,
        "database": settings.database.shown(),
        "recognised": [{"layout": name, "state": its_state} for name, its_state in found],
        "content": content,
    }
    return Result(data, warnings=(*settings.warnings, *(warnings or _fit(layout, found)), *_left_out(settings)))


def _look(settings: Settings, look: Look) -> tuple[list[tuple[str, str]], list[Notice]]:
    named = not settings.entries["layout"].is_default
    candidates = {name: load_layout(name) for name in builtin_names()}
    candidates[settings.layout] = configured_layout(settings)
    try:
        return list(look(candidates)), []
    except CannotConnectError as problem:
        if named:
            return [], [Notice.of(problem)]
        problem.hint = problem.hint or "--layout NAME writes the file without looking at the database."
        raise


def _choose(settings: Settings, found: list[tuple[str, str]]) -> str:
    # An empty database is the "before" of several layouts: the default stays the default among them.
    names = [name for name, _ in found]
    if not settings.entries["layout"].is_default or not names or settings.layout in names:
        return settings.layout
    return names[0]


def _fit(layout: str, found: list[tuple[str, str]]) -> list[Notice]:
    notices = []
    others = [f"{name} ({state})" for name, state in found if name != layout]
    if layout not in dict(found):
        notices.append(
            Notice(
                "not_recognised",
                f"The database is in no state that the layout '{layout}' declares.",
                "Name the right layout with --layout, or a layout file of your own.",
            )
        )
    if others:
        notices.append(
            Notice(
                "other_layouts_fit",
                f"The database also fits: {', '.join(others)}.",
                "Name the right one with --layout, or change it in the file.",
            )
        )
    return notices


def _left_out(settings: Settings) -> list[Notice]:
    variables = {"database": "CHATCTL_DATABASE", "redis.url": "CHATCTL_REDIS_URL"}
    return [
        Notice(
            "password_left_out",
            f"The password of {key} is not written: the file reads the URL from {variable}.",
            f"Set {variable} before the next command.",
        )
        for key, variable in variables.items()
        if settings.source(key).startswith("flag ") and _entry(settings, key, variable) == f"env:{variable}"
    ]


def _content(settings: Settings, layout: str, state: str, folder: Path) -> str:
    name = _scalar(settings.context_name)
    database = _line("database", _entry(settings, "database", "CHATCTL_DATABASE"), settings.database)
    redis = _line("url", _entry(settings, "redis.url", "CHATCTL_REDIS_URL"), settings.redis.url)
    return f"""\
# What chatctl works on. Flags and CHATCTL_* variables overrule this file; `chatctl config show --source` says where
# each value came from, `chatctl config check` whether all of them can be used.

context: {name}

contexts:
  {name}:
    # What the system's tables, columns and Redis keys are called: a built-in layout, or a layout file.
    # State of the database when this file was written: {state}.
    layout: {_scalar(_relative(layout, folder))}

    # A URL, or where it is kept: env:VARIABLE, file:PATH or cmd:COMMAND.
    {database}

    redis:
      # redis://HOST:6379/0, rediss://…, unix://PATH?db=0, or embedded.
      {redis}

    # Whether every change needs `--confirm {settings.context_name}`.
    # protected: true

    # The retention policy; once it stands here, `chatctl purge` may run without being asked.
    # purge:
    #   retention_days: 30
    #   archive: file
"""


def _entry(settings: Settings, key: str, variable: str) -> str | None:
    """What the file says for the secret at `key`; None where the default will do."""
    entry = settings.entries[key]
    assert isinstance(entry.value, Secret)
    if entry.is_default:
        return None
    if entry.value.reference:
        return entry.value.reference.written
    if not urls.has_password(entry.value.reveal()):
        return entry.value.reveal()
    return f"env:{entry.source if entry.source.isidentifier() else variable}"


def _line(key: str, written: str | None, default: Secret) -> str:
    return f"{key}: {_scalar(written)}" if written else f"# {key}: {_scalar(default.shown())}"


def _scalar(text: str) -> str:
    """`text` as YAML that reads back as the same text, quoted only where it must be."""
    dumped: str = yaml.safe_dump(text, allow_unicode=True, width=float("inf"), default_style=None)
    return dumped.removesuffix("...\n").strip()


def _relative(layout: str, folder: Path) -> str:
    path = Path(layout)
    return f"./{path.relative_to(folder)}" if path.is_absolute() and path.is_relative_to(folder) else layout


def _write(target: Path, content: str, *, force: bool) -> None:
    try:
        if force:
            _replace(target, content)
        else:
            with target.open("x", encoding="utf-8") as file:
                file.write(content)
    except FileExistsError:
        raise _exists(target) from None
    except OSError as problem:
        raise ConfigurationError(f"{target} can't be written: {problem.strerror}.") from problem


def _replace(target: Path, content: str) -> None:
    # Written beside it and renamed, so that a full disk leaves the old file whole.
    beside = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        beside.write_text(content, encoding="utf-8")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _exists(target: Path) -> ConsentRequiredError:
    return ConsentRequiredError(f"{target} exists.", hint="--force replaces it; --dry-run shows what would be written.")
