"""Checks of the machine that chatctl runs on: programs, versions, disk."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from chatctl.domain.findings import Finding, Severity
from chatctl.services.doctor.base import NotApplicableError, Registered, Surroundings, finding, older, registrar

CHECKS: Registered = []
check = registrar("machine", CHECKS)

_OPTIONAL = "optional"
_PYTHON = "3.11"
_TIMEOUT_SECONDS = 10.0
#: The programs that a backup drives, by the database's engine; of each group one is enough.
_DUMPERS = {
    "mariadb": (("mariadb-dump",),),
    "mysql": (("mysqldump", "mariadb-dump"),),
    "postgresql": (("pg_dump",), ("pg_restore",)),
}


@check("python-version")
def python_version(around: Surroundings) -> Iterator[Finding]:
    """The application and chatctl need a Python that is new enough."""
    wanted = around.layout.requires.python or _PYTHON
    found = platform.python_version()
    if older(found, wanted):
        yield finding(
            "python-version", "this machine", f"Python is {found}, {wanted} is needed.", "Install a newer one."
        )


@check("node-version", "migrate", "serve")
def node_version(around: Surroundings) -> Iterator[Finding]:
    """The application's dashboard or scripts need Node."""
    yield from _program("node-version", "node", around.layout.requires.node, around)


@check("docker", "migrate", "serve")
def docker(around: Surroundings) -> Iterator[Finding]:
    """The application's guides start its services in Docker."""
    yield from _program("docker", "docker", around.layout.requires.docker, around)


@check("dump-programs", "backup", "migrate", after="database-reachable")
def dump_programs(around: Surroundings) -> Iterator[Finding]:
    """A backup drives the server's own dump program."""
    dialect = around.database().dialect
    groups = _DUMPERS.get(dialect.name)
    if groups is None:
        raise NotApplicableError("SQLite needs no dump program")
    path = around.environ.get("PATH")
    missing = [names[0] for names in groups if not any(shutil.which(name, path=path) for name in names)]
    if missing:
        hint = f"Install the client programs of {dialect.title}."
        yield finding("dump-programs", "this machine", f"{' and '.join(missing)} can't be found.", hint)


@check("disk-space")
def disk_space(around: Surroundings) -> Iterator[Finding]:
    """A full disk stops a run, a backup or a server halfway."""
    for title, folder in _folders(around).items():
        free = shutil.disk_usage(_existing(folder)).free
        if free < around.limits.free_bytes:
            wanted = f"{around.limits.free_bytes / 1e9:g} GB"
            message = f"{free / 1e9:.1f} GB are free for {title}, less than {wanted}."
            yield finding("disk-space", str(folder), message, "Free some space, or keep it elsewhere.")


def _folders(around: Surroundings) -> dict[str, Path]:
    settings = around.settings
    store = settings.backup_store.reveal()
    found = {"chatctl's own files": settings.data_dir, "archives": settings.purge.archive_folder}
    found |= {} if "://" in store else {"backups": Path(store)}
    file = around.database().url.database
    if around.database().url.host is None and file and "/" in file:
        found["the database file"] = Path(file).parent
    return found


def _existing(folder: Path) -> Path:
    return next(place for place in (folder, *folder.resolve().parents) if place.exists())


def _program(rule: str, program: str, wanted: str | None, around: Surroundings) -> Iterator[Finding]:
    if wanted is None:
        raise NotApplicableError(f"the layout '{around.layout.name}' needs no {program}")
    severity = Severity.NOTE if wanted == _OPTIONAL else Severity.ERROR
    found = _version(program, around.environ.get("PATH"))
    if found is None:
        hint = "It can be done without." if wanted == _OPTIONAL else f"Install {program} {wanted} or newer."
        yield finding(rule, "this machine", f"{program} can't be found.", hint, severity=severity)
    elif wanted != _OPTIONAL and older(found, wanted):
        message = f"{program} is {found}, {wanted} is needed."
        yield finding(rule, "this machine", message, f"Install {program} {wanted} or newer.")


def _version(program: str, path: str | None) -> str | None:
    place = shutil.which(program, path=path)
    if place is None:
        return None
    try:
        done = subprocess.run(
            [place, "--version"], capture_output=True, timeout=_TIMEOUT_SECONDS, check=False, text=True
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return found.group() if found else None
