"""How `chatctl backup` answers people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chatctl.render.blocks import Block, Paragraph, facts, rows
from chatctl.render.views import Data, view

_LIST = ("id", "state", "layout", "engine", "revision", "rows", "keys", "bytes", "drilled", "reason")
_CHECKS = ("name", "ok", "detail")
_FILES = ("name", "bytes", "sha256")


@view("backup create", principal="files", columns=_FILES)
@view("backup show", principal="files", columns=_FILES)
def backup(data: Data) -> Iterator[Block]:
    """What the backup is, what it holds of SQL and of Redis, its files, and its drill."""
    yield facts(data, *(key for key in ("id", "context", "layout", "started", "seconds", "reason") if key in data))
    yield facts({key: data[key] for key in ("encrypted", "signed") if key in data})
    sql, redis = data["sql"], data["redis"]
    if sql:
        yield facts(sql, "server", "revision", title="SQL")
        yield rows([{"table": name, "rows": count} for name, count in sql["rows"].items()], "table", "rows")
    if redis:
        yield facts(redis, "server", "keys", title="Redis")
        yield rows([{"counter": name, "value": value} for name, value in redis["counters"].items()], "counter", "value")
    yield rows(data["files"], "name", "bytes", title="Files")
    if data.get("drill"):
        yield from checks(data["drill"])
    if data.get("drilled"):
        yield Paragraph(f"Drilled: {_drilled(data['drilled'])}.")


@view("backup list", principal="backups", columns=_LIST)
def list_(data: Data) -> Iterator[Block]:
    """The backups, newest first."""
    yield facts(data, "store")
    shown = [{**each, "drilled": _drilled(each["drilled"])} for each in data["backups"]]
    yield rows(shown, *_LIST, empty="There is no backup yet: chatctl backup create takes one.")


@view("backup verify", principal="checks", columns=_CHECKS)
@view("backup drill", principal="checks", columns=_CHECKS)
def checks(data: Data) -> Iterator[Block]:
    """What was checked, and how it came out."""
    yield facts(data, "id", "ok")
    yield rows(data["checks"], *_CHECKS, title="Checks")


@view("backup restore", principal="raised", columns=("scope", "from", "to"))
def restore(data: Data) -> Iterator[Block]:
    """What would be replaced, or what was."""
    yield facts(data, "id", "taken", "parts", "replaces", "replaces_keys", "resumes")
    if "rows" not in data:
        return
    yield facts(data, "safety_backup", "keys")
    yield rows([{"table": name, "rows": count} for name, count in data["rows"].items()], "table", "rows")
    yield rows(data["raised"], "scope", "from", "to", title="Counters raised")


@view("backup prune", principal="kept", columns=("id", "why"))
def prune(data: Data) -> Iterator[Block]:
    """What stays and why, then what goes."""
    yield rows(data["kept"], "id", "why", title="Kept")
    verb = "Would be removed" if data["dry_run"] else "Removed"
    yield rows([{"id": each} for each in data["removed"]], "id", title=verb, empty=f"{verb}: nothing.")


def _drilled(drilled: Any) -> str:
    if not drilled:
        return ""
    return f"{drilled['at'][:16]} {'ok' if drilled['ok'] else 'FAILED'}"
