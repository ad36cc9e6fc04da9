"""What a check is, and what it is handed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from chatctl.domain.findings import Finding, Severity
from chatctl.layouts.model import Layout
from chatctl.services.migrate.target import MigrationTarget
from chatctl.settings import Settings
from chatctl.stores.redis.stores import RedisStores
from chatctl.stores.repository import Repository
from chatctl.stores.sql.database import Database
from chatctl.stores.tpms.source import TpmsSource

Purpose = Literal["migrate", "regroup", "counters", "purge", "backup", "serve"]
PURPOSES: tuple[Purpose, ...] = ("migrate", "regroup", "counters", "purge", "backup", "serve")


@dataclass(frozen=True)
class Limits:
    """From where on something is a finding."""

    free_bytes: int = 1_000_000_000
    clock_seconds: float = 5.0
    lag_seconds: float = 10.0
    backup_age: timedelta = timedelta(hours=26)
    drill_age: timedelta = timedelta(days=35)
    purge_age: timedelta = timedelta(hours=26)


@dataclass(frozen=True)
class Surroundings:
    """Everything that a check may look at. What is behind a function is opened when it is called.

    `environ` are the process's variables; `env_file` is the application's `.env`, which need not exist.
    """

    settings: Settings
    layout: Layout
    database: Callable[[], Database]
    migration: Callable[[], MigrationTarget]
    redis: Callable[[], RedisStores] | None
    repository: Callable[[], Repository]
    permissions: Callable[[], TpmsSource]
    replica: Callable[[], Database] | None
    environ: Mapping[str, str]
    cwd: Path
    env_file: Path
    limits: Limits = field(default_factory=Limits)


class NotApplicableError(Exception):
    """There is nothing to check here; the message says why."""


@dataclass(frozen=True)
class Check:
    """One check: its name, why anybody should care, what it is for, and what looks.

    `after` names a check without whose success this one can't be made. `run` yields findings under the check's name,
    or raises NotApplicableError.
    """

    name: str
    family: str
    reason: str
    purposes: frozenset[Purpose]
    run: Callable[[Surroundings], Iterator[Finding]]
    after: str | None = None


Registered = list[Check]


def registrar(family: str, registry: Registered) -> Callable[..., Callable[[Callable[..., Iterator[Finding]]], object]]:
    """A decorator for the checks of `family`: `@check("disk-space", "backup")`. A check's docstring is its reason."""

    def check(name: str, *purposes: Purpose, after: str | None = None) -> Callable[..., object]:
        def register(run: Callable[[Surroundings], Iterator[Finding]]) -> Callable[[Surroundings], Iterator[Finding]]:
            reason = " ".join((run.__doc__ or "").split())
            registry.append(Check(name, family, reason, frozenset(purposes or PURPOSES), run, after))
            return run

        return register

    return check


def finding(
    rule: str, where: str, message: str, hint: str, *, fix: str | None = None, severity: Severity = Severity.ERROR
) -> Finding:
    """A finding of the check called `rule`."""
    return Finding(rule, severity, where, message, hint, fix)


def older(found: str, wanted: str) -> bool:
    """Whether the version `found` is older than `wanted`, as far as `wanted` says."""
    return _parts(found)[: len(_parts(wanted))] < _parts(wanted)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
