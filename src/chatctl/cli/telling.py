"""Which commands tell others how they ended, and what they tell."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import typer

from chatctl.cli import exit_codes
from chatctl.cli.invocation import Invocation
from chatctl.domain.result import Result
from chatctl.errors import ChatctlError, ConfigurationError
from chatctl.observe.masking import mask
from chatctl.observe.notifications import Ending, Notifier

if TYPE_CHECKING:
    from chatctl.settings import Settings

log = logging.getLogger(__name__)

#: What changes data, or takes long.
_TOLD = frozenset(
    (
        "migrate", "migrate up", "migrate down", "regroup run", "regroup undo", "purge", "purge run", "purge restore",
        "backup create", "backup restore", "backup drill", "rollback run", "import", "sessions archive",
    )
)  # fmt: skip


def tell_others(
    ctx: typer.Context, invocation: Invocation, command: str, code: int, ended: Result | ChatctlError
) -> None:
    """Tells whoever the configuration names that `command` ended with `code`; nobody of a dry run or of a question."""
    if command not in _TOLD or ctx.params.get("dry_run") or code == exit_codes.USAGE or not invocation.has_settings:
        return
    try:
        notifier = _notifier(invocation.settings)
    except ConfigurationError as problem:
        log.warning("Nobody could be told how it ended: %s", problem.message)
        return
    result = ended if isinstance(ended, Result) else None
    notices = result.errors if result else ()
    message = next((notice.message for notice in notices), None) if result else str(ended)
    ending = Ending(
        command,
        invocation.settings.context_name,
        result.run_id if result else None,
        exit_codes.status_for(code),
        code,
        mask(message) if message else None,
    )
    notifier.tell(ending)


def _notifier(settings: Settings) -> Notifier:
    ping, webhook = (secret.reveal() if secret else None for secret in (settings.notify_ping, settings.notify_webhook))
    return Notifier(ping, webhook, settings.notify_command)
