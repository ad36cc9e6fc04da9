"""Checks of what is outside: are the services of the guides configured, and does something answer there.

No credential is sent: that a host answers is all that is asked. external.yaml says which services there are.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from importlib import resources
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict

from chatctl.domain.findings import Finding, Severity
from chatctl.errors import InputFileError, PermissionSourceError
from chatctl.services.doctor.base import NotApplicableError, Registered, Surroundings, finding, registrar
from chatctl.services.environment import checking, envfile, values
from chatctl.services.environment.checking import environment_of

CHECKS: Registered = []
check = registrar("outside", CHECKS)

_TIMEOUT_SECONDS = 5.0
_PORTS = {"https": 443, "http": 80, "wss": 443, "ws": 80}


class Service(BaseModel):
    """One service, as external.yaml has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    keys: list[str]
    url: str
    enabled: str | None = None
    default: dict[str, str] = {}


def services() -> dict[str, Service]:
    """Every service that can be checked."""
    text = (resources.files("chatctl.services.doctor") / "external.yaml").read_text(encoding="utf-8")
    return {name: Service.model_validate(item) for name, item in yaml.safe_load(text).items()}


@check("services-configured", "migrate", "serve")
def configured(around: Surroundings) -> Iterator[Finding]:
    """A service that the application expects and nobody configured fails at the first user."""
    held = variables(around)
    for name, service in _wanted(around).items():
        given = [key for key in service.keys if held.get(key)]
        missing = [key for key in service.keys if key not in given]
        if not given:
            message = f"{service.title} is not configured."
            hint = f"Set {', '.join(service.keys)} where it is wanted."
            yield finding("services-configured", name, message, hint, severity=Severity.NOTE)
        elif missing:
            message = f"{service.title} is configured by half: {', '.join(missing)} is missing."
            yield finding("services-configured", name, message, "Set what is missing.")


@check("services-reachable", "migrate", "serve")
def reachable(around: Surroundings) -> Iterator[Finding]:
    """A firewall or a typing error in a host is better found before users do."""
    held = variables(around)
    for name, service in _wanted(around).items():
        if not all(held.get(key) for key in service.keys):
            continue
        place = urlsplit(_filled(service, held))
        problem = _unreachable(place.hostname, place.port or _PORTS.get(place.scheme, 443))
        if problem:
            message = f"{service.title} can't be reached at {place.hostname}: {problem}."
            yield finding("services-reachable", name, message, "Check the address and the firewall.")


@check("environment-file", "migrate", "serve")
def environment(around: Surroundings) -> Iterator[Finding]:
    """What is wrong in the environment file shows up when the application starts, or when somebody abuses it."""
    if not around.env_file.exists():
        raise NotApplicableError(f"there is no {around.env_file.name} here")
    file = envfile.read(around.env_file)
    for found in checking.findings_of(around.env_file, environment_of(file, "development")):
        if found.severity is not Severity.NOTE:
            yield Finding("environment-file", found.severity, found.where, found.message, found.hint, found.fix)


@check("permissions-reachable", "serve", "counters")
def permissions(around: Surroundings) -> Iterator[Finding]:
    """Without the permission database nobody is let into a project."""
    _require_permissions(around)
    try:
        around.permissions().project("1")
    except PermissionSourceError as problem:
        yield finding(
            "permissions-reachable", "permissions.database", problem.message, problem.hint or "Check the URL."
        )


@check("permissions-read-only", "serve", after="permissions-reachable")
def permissions_read_only(around: Surroundings) -> Iterator[Finding]:
    """An account that can write there can give itself permissions."""
    _require_permissions(around)
    held = around.permissions().write_privileges()
    if held:
        message = f"The account may do more than read: {'; '.join(held)[:200]}."
        hint = "Give it SELECT on the two tables and nothing else; chatctl doctor --grants shows the statements."
        yield finding("permissions-read-only", "permissions.database", message, hint)


def variables(around: Surroundings) -> dict[str, str]:
    """The application's variables: those of the process, over those of its `.env`."""
    try:
        held = envfile.read(around.env_file).values if around.env_file.exists() else {}
    except InputFileError:
        held = {}
    return {**held, **around.environ}


def _require_permissions(around: Surroundings) -> None:
    if not around.layout.permissions:
        raise NotApplicableError(f"the layout '{around.layout.name}' has no permission database")
    if around.settings.permissions_database is None:
        raise NotApplicableError("permissions.database is not configured; chatctl's own tables are used")


def _wanted(around: Surroundings) -> dict[str, Service]:
    known, held = services(), variables(around)
    chosen = {name: known[name] for name in around.layout.requires.services if name in known}
    if not chosen:
        raise NotApplicableError(f"the layout '{around.layout.name}' talks to no outside service")
    return {name: item for name, item in chosen.items() if _on(item, held)}


def _on(service: Service, held: Mapping[str, str]) -> bool:
    return service.enabled is None or values.truth(held.get(service.enabled, "true")) == "true"


def _filled(service: Service, held: Mapping[str, str]) -> str:
    known = {**service.default, **{key: value for key, value in held.items() if value}}
    # A default may name another variable.
    return service.url.format_map(known).format_map(known)


def _unreachable(host: str | None, port: int) -> str | None:
    if host is None:
        return "the address names no host"
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_SECONDS):
            return None
    except OSError as problem:
        return problem.strerror or str(problem) or type(problem).__name__
