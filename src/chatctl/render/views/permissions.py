"""How `chatctl permissions` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, Paragraph, facts, rows
from chatctl.render.views import Data, view

_GRANT = ("user", "project", "project_name", "age_seconds")


@view("permissions check", principal="explain", columns=("step", "outcome"))
def check(data: Data) -> Iterator[Block]:
    """The answer and its reason, then what was looked at."""
    yield facts(data, "allowed", "user", "project", "project_name", "reason", "source")
    if data["explain"]:
        yield rows(data["explain"], "step", "outcome", title="How it was decided")


@view("permissions list")
def list_permissions(data: Data) -> Iterator[Block]:
    """A user's projects, or a project's users."""
    if data["user"] is not None:
        yield rows(data["projects"], "project", "project_name", empty=f"'{data['user']}' may enter no project.")
    else:
        yield rows([{"user": user} for user in data["users"]], "user", empty="Nobody may enter it.")


@view("permissions audit", principal="probes", columns=("user", "project", "allowed"))
def audit(data: Data) -> Iterator[Block]:
    """What was found, then the probes that were asked for."""
    yield Paragraph(f"{data['cached']} remembered grants, {len(data['revoked'])} of them no longer given.")
    if data["findings"]:
        yield rows(data["findings"], "severity", "rule", "where", "message", title="Findings")
    if data["probes"]:
        yield rows(data["probes"], "user", "project", "allowed", title="Probes")


@view("permissions cache show", principal="grants", columns=_GRANT)
def cache_show(data: Data) -> Iterator[Block]:
    """The remembered grants."""
    yield rows(data["grants"], *_GRANT, empty="No grant is remembered.")
