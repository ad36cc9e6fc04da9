"""`sessions create`: a new session, general or of a project that the user may enter."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chatctl.domain.counters import Draft
from chatctl.domain.permissions import Decision
from chatctl.domain.result import Notice, Result
from chatctl.domain.session_ids import Month, Scope
from chatctl.domain.sessions import FIRST_NAME, general_record, project_record
from chatctl.errors import AccessRefusedError, UsageError
from chatctl.services.counters.issuing import Issuer
from chatctl.services.permissions.probing import Prober

log = logging.getLogger(__name__)


class Users(Protocol):
    """What must be known of a user before a session of theirs is created."""

    def prepare_user(self, user: str, scope_name: str) -> None:
        """Notes that the user will have sessions in this scope."""


@dataclass(frozen=True)
class NewSession:
    """What was asked for: a general session, or one of `project` on the page `page_name`."""

    user: str
    project: str | None = None
    page_name: str | None = None
    title: str | None = None

    def __post_init__(self) -> None:
        if not self.user.strip():
            raise UsageError("A session needs a user.")
        if self.project is not None and not (self.page_name or "").strip():
            raise UsageError("A project session needs a page name.", hint="--page NAME")
        if self.project is None and self.page_name is not None:
            raise UsageError("A general session has no page.", hint="Leave --page out, or name a --project.")


def create(issuer: Issuer, users: Users, prober: Prober, wanted: NewSession, now: datetime) -> Result:
    """Creates the session; `now` is aware.

    Raises NotFoundError for an unknown project, AccessRefusedError where the user may not enter it,
    PermissionSourceError where nobody can tell; then nothing is created. The title of a general session is its
    first message's, later.
    """
    if wanted.project is None:
        scope, record = Scope.general(Month.at(now)), general_record(wanted.user, now)
        project_name = None
    else:
        decision = _allowed(prober, wanted.user, wanted.project)
        scope, project_name = Scope.of_project(decision.project), decision.project_name
        page_name = wanted.page_name or ""
        record = project_record(wanted.user, decision.project, project_name, page_name, wanted.title, now)
    users.prepare_user(wanted.user, scope.name)
    session = issuer.create(Draft(scope, wanted.user, record, uuid.uuid4().hex))
    log.info("session created: %s", session)
    data = {
        "id": str(session),
        "chat_name": record["chat_name"],
        "chat_type": scope.kind,
        "project": scope.project,
        "project_name": project_name,
        "dry_run": False,
    }
    return Result(data, warnings=_warnings(wanted, prober))


def rehearse(prober: Prober, wanted: NewSession) -> Result:
    """What `create` would do, with all its refusals, but nothing created: there is no ID."""
    decision = None if wanted.project is None else _allowed(prober, wanted.user, wanted.project)
    name = FIRST_NAME if decision is None else wanted.title or wanted.page_name
    data = {
        "id": None,
        "chat_name": name,
        "chat_type": "general" if decision is None else "project",
        "project": decision.project if decision else None,
        "project_name": decision.project_name if decision else None,
        "dry_run": True,
    }
    return Result(data, warnings=_warnings(wanted, prober))


def _allowed(prober: Prober, user: str, project: str) -> Decision:
    decision = prober.decide(user, project)
    if not decision.allowed:
        raise AccessRefusedError(decision.reason, hint=f"chatctl permissions check {user} {project} --explain")
    return decision


def _warnings(wanted: NewSession, prober: Prober) -> tuple[Notice, ...]:
    if wanted.project is None and wanted.title is not None:
        ignored = Notice(
            "title_ignored",
            f"A general session begins as '{FIRST_NAME}': its title comes from its first message.",
            "chatctl sessions title ID --title TEXT names it yourself.",
        )
        return (ignored,)
    return tuple(prober.warnings)
