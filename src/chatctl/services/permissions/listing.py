"""`permissions list`, `audit` and `cache`: who may enter what, what is remembered of it, and what no longer holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from chatctl.domain.findings import Finding, Severity, any_fails
from chatctl.domain.permissions import GrantCache, PermissionSource, RememberedGrant
from chatctl.domain.result import Outcome, Result
from chatctl.errors import PermissionSourceError

#: Probes that are asked at once.
BATCH = 1_000

T = TypeVar("T")


def projects_of(source: PermissionSource, user: str) -> Result:
    """The projects that `user` may enter."""
    _require(source)
    projects = [{"project": project.id, "project_name": project.name} for project in source.projects_of(user)]
    return Result({"user": user, "project": None, "projects": projects, "users": []})


def users_of(source: PermissionSource, project: str) -> Result:
    """The users that may enter `project`."""
    _require(source)
    return Result({"user": None, "project": project, "projects": [], "users": source.users_of(project)})


def audit(source: PermissionSource, cache: GrantCache, probes: Iterator[tuple[str, str]] | None) -> Result:
    """What the cache grants and the database no longer does, and whether the account may write.

    With `probes`, (user, project) pairs, each is answered besides, by the database alone.
    """
    _require(source)
    findings = [
        Finding(
            "account_may_write",
            Severity.WARNING,
            source.where,
            f"The account may do more than read: {privilege}.",
            hint="Give chatctl an account with SELECT alone.",
        )
        for privilege in source.write_privileges()
    ]
    checked, revoked = 0, []
    for batch in _batches(cache.grants()):
        answers = source.have_grants([(grant.user, grant.project) for grant in batch])
        checked += len(batch)
        revoked += [grant for grant, holds in zip(batch, answers, strict=True) if not holds]
    findings += [_revoked(grant) for grant in revoked]
    data: dict[str, Any] = {
        "cached": checked,
        "revoked": [_grant(grant) for grant in revoked],
        "probes": [] if probes is None else _probe(source, probes),
        "findings": [finding.as_json() for finding in findings],
    }
    return Result(data, Outcome.FINDINGS if any_fails(findings) else Outcome.DONE)


def show_cache(cache: GrantCache, user: str | None, project: str | None) -> Result:
    """Every usable remembered grant, of one user or project where that is given."""
    grants = sorted(cache.grants(user, project), key=lambda grant: (grant.user, grant.project))
    return Result({"ttl_seconds": cache.ttl_seconds, "grants": [_grant(grant) for grant in grants]})


def flush_cache(cache: GrantCache, user: str | None, project: str | None, *, dry_run: bool) -> Result:
    """Forgets remembered grants: the next probes ask the database."""
    if dry_run:
        return Result({"flushed": sum(1 for _ in cache.grants(user, project)), "dry_run": True})
    return Result({"flushed": cache.flush(user, project), "dry_run": False})


def _require(source: PermissionSource) -> None:
    if source.why_closed is not None:
        raise PermissionSourceError(source.why_closed)


def _probe(source: PermissionSource, probes: Iterator[tuple[str, str]]) -> list[dict[str, Any]]:
    answered: list[dict[str, Any]] = []
    for batch in _batches(probes):
        answers = source.have_grants(batch)
        answered += [
            {"user": user, "project": project, "allowed": allowed}
            for (user, project), allowed in zip(batch, answers, strict=True)
        ]
    return answered


def _batches(items: Iterator[T]) -> Iterator[Sequence[T]]:
    while batch := list(islice(items, BATCH)):
        yield batch


def _grant(grant: RememberedGrant) -> dict[str, Any]:
    return {
        "user": grant.user,
        "project": grant.project,
        "project_name": grant.project_name,
        "age_seconds": round(grant.age_seconds, 3),
    }


def _revoked(grant: RememberedGrant) -> Finding:
    return Finding(
        "grant_revoked",
        Severity.ERROR,
        f"{grant.user} {grant.project}",
        f"'{grant.user}' is still let into {grant.project}: the grant is {grant.age_seconds:.0f} s old.",
        hint="It ends by itself when its time is up.",
        fix=f"chatctl permissions cache flush --user '{grant.user}'",
    )
