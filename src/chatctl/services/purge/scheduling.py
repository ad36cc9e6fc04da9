"""`purge schedule`: a crontab line or systemd units that run as they are."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Literal

from chatctl.domain.result import Notice, Result
from chatctl.errors import UsageError
from chatctl.settings import Settings

Kind = Literal["cron", "systemd"]

_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
#: What a purge has no need of. /tmp stays as it is: servers keep their sockets there.
_HARDENING = (
    "UMask=0077", "NoNewPrivileges=yes", "ProtectSystem=full", "ProtectKernelTunables=yes", "ProtectKernelModules=yes",
    "ProtectControlGroups=yes", "RestrictSUIDSGID=yes", "RestrictRealtime=yes", "LockPersonality=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6", "SystemCallArchitectures=native",
)  # fmt: skip
#: Time zones differ from UTC by whole quarters of an hour.
_QUARTER = 15


def schedule(settings: Settings, kind: str, at: str, cwd: Path, config: str | None) -> Result:
    """The schedule for the chosen context, at `at` (HH:MM, UTC) each day."""
    match = _CLOCK.fullmatch(at)
    if match is None:
        raise UsageError(f"'{at}' is no time of day: expected HH:MM, such as 02:00.")
    if kind not in ("cron", "systemd"):
        raise UsageError(f"There is no schedule '{kind}'.", hint="It is cron or systemd.")
    command = _command(settings, cwd, config)
    files = _cron(command, match[1], match[2], cwd) if kind == "cron" else _systemd(command, at, cwd)
    return Result({"kind": kind, "at": at, "files": files}, warnings=tuple(_not_seen(settings)))


def _command(settings: Settings, cwd: Path, config: str | None) -> list[str]:
    file = ["--config", str((cwd / config).resolve())] if config else []
    return [sys.executable, "-m", "chatctl", *file, "--context", settings.context_name, "--no-input", "purge"]


def _cron(command: list[str], hour: str, minute: str, cwd: Path) -> list[dict[str, str]]:
    # cron runs by the machine's own time zone, and not every cron can be told another one: so it looks at the clock
    # itself. A % would end the command in a crontab.
    often = "*/15" if int(minute) % _QUARTER == 0 else "*"
    line = f"cd {shlex.quote(str(cwd))} && {shlex.join(command)}".replace("%", r"\%")
    check = rf'[ "$(date -u +\%H\%M)" = "{hour}{minute}" ]'
    content = f"# Every day at {hour}:{minute} UTC.\n{often} * * * * {check} && {line}\n"
    return [{"name": "crontab", "content": content}]


def _systemd(command: list[str], at: str, cwd: Path) -> list[dict[str, str]]:
    words = " ".join(_systemd_word(word) for word in command)
    service = (
        "[Unit]\nDescription=Purge of expired conversations\n"
        "Wants=network-online.target\nAfter=network-online.target\n\n"
        f"[Service]\nType=oneshot\nWorkingDirectory={str(cwd).replace('%', '%%')}\nExecStart={words}\n"
        # Out of time is no failure: the next night goes on.
        "SuccessExitStatus=12\nNice=10\nIOSchedulingClass=idle\n" + "".join(f"{line}\n" for line in _HARDENING)
    )
    timer = (
        "[Unit]\nDescription=Purge of expired conversations, every day\n\n"
        f"[Timer]\nOnCalendar=*-*-* {at}:00 UTC\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )
    return [
        {"name": "chatctl-purge.service", "content": service},
        {"name": "chatctl-purge.timer", "content": timer},
    ]


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def _not_seen(settings: Settings) -> list[Notice]:
    """What cron wouldn't know: it has neither this shell's variables nor this command's flags."""
    sources = {entry.source for entry in settings.entries.values() if not entry.is_default}
    here = sorted(source for source in sources if source.startswith("flag ") or source.isupper())
    if not here:
        return []
    message = f"The schedule doesn't see what this command took from {', '.join(here)}."
    return [Notice("not_in_schedule", message, "Say it in chatctl.yaml, or in the unit's Environment=.")]
