"""Looks for what is wrong in a `.env` file, for the environment that it is meant for. Reads files, nothing else.

No finding ever quotes a secret.
"""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatctl.domain.findings import Finding, Severity, any_fails
from chatctl.domain.result import Outcome, Result
from chatctl.services.environment import envfile, values
from chatctl.services.environment.catalogue import ENVIRONMENTS, Environment, Variable, catalogue
from chatctl.services.environment.envfile import EnvFile

_SECRET_NAMES = ("SECRET", "PASSWORD", "PRIVATE", "TOKEN", "API_KEY")


@dataclass(frozen=True)
class Terms:
    """What a file is judged by: its environment, and the systems that read it."""

    environment: Environment
    systems: tuple[str, ...]

    @property
    def production(self) -> bool:
        """Whether real users are behind it."""
        return self.environment == "production"

    @property
    def variables(self) -> Mapping[str, Variable]:
        """The variables that its systems read."""
        return catalogue().of(self.systems)


def check(paths: Iterable[Path], environment: Environment | None, system: str | None = None) -> Result:
    """Every finding in the files, which belong together: the backend's and the dashboard's.

    Without an `environment` the first file's own ENVIRONMENT counts, else it is development.
    Raises InputFileError for a file that can't be read and UsageError for an unknown system.
    """
    files = [envfile.read(path) for path in paths]
    environment = environment or environment_of(files[0], "development")
    findings: list[Finding] = []
    systems: list[str] = []
    for file in files:
        chosen = catalogue().chosen(system, file.values)
        systems += [name for name in chosen if name not in systems]
        findings += _findings(file, Terms(environment, tuple(chosen)))
    findings += _mismatches(files)
    data: dict[str, Any] = {
        "files": [file.name for file in files],
        "environment": environment,
        "systems": systems,
        "variables": sum(len(file.values) for file in files),
        "findings": [finding.as_json() for finding in findings],
    }
    return Result(data, Outcome.FINDINGS if any_fails(findings) else Outcome.DONE)


def findings_of(path: Path, environment: Environment, system: str | None = None) -> list[Finding]:
    """The findings in one file."""
    file = envfile.read(path)
    return list(_findings(file, Terms(environment, tuple(catalogue().chosen(system, file.values)))))


def environment_of(file: EnvFile, default: Environment) -> Environment:
    """The environment that the file says it is for."""
    return next((name for name in ENVIRONMENTS if name == file.values.get("ENVIRONMENT")), default)


def _findings(file: EnvFile, terms: Terms) -> Iterator[Finding]:
    rules: tuple[Callable[[EnvFile, Terms], Iterator[Finding]], ...] = (
        _unreadable, _repeated, _unknown, _not_due, _missing, _unfit, _known_secrets, _unsafe, _browser, _open_to_all,
    )  # fmt: skip
    for rule in rules:
        yield from rule(file, terms)


def _unreadable(file: EnvFile, terms: Terms) -> Iterator[Finding]:
    for line in file.lines:
        if line.broken or (line.key is not None and line.value is None):
            where = f"{file.name}:{line.number}"
            yield Finding(
                "env-syntax", Severity.ERROR, where, "This line sets nothing.", "Write NAME=value, or a # first."
            )


def _repeated(file: EnvFile, terms: Terms) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for line in file.assignments():
        if line.key in seen:
            where = f"{file.name}:{line.number}"
            message = f"{line.key} stands in line {seen[line.key]} already; the last one counts."
            yield Finding("env-duplicate", Severity.WARNING, where, message, "Take one of them out.")
        seen[str(line.key)] = line.number


def _unknown(file: EnvFile, terms: Terms) -> Iterator[Finding]:
    for key in file.values:
        if key in catalogue().keys or key.startswith("CHATCTL_"):
            continue
        close = difflib.get_close_matches(key, terms.variables, n=1, cutoff=0.85)
        severity = Severity.WARNING if close and close[0] not in file.values else Severity.NOTE
        hint = f"Did you mean {close[0]}?" if close else "Nothing to do where your own code reads it."
        yield Finding("env-unknown", severity, file.where(key), f"No guide knows {key}.", hint)


def _not_due(file: EnvFile, terms: Terms) -> Iterator[Finding]:
    for key, value in file.values.items():
        if key in terms.variables and terms.variables[key].group == "legacy" and value != "":
            hint = "Leave it while a 1.x client is about."
            yield Finding("env-legacy", Severity.NOTE, file.where(key), f"{key} is kept for 1.x clients.", hint)


def _missing(file: EnvFile, terms: Terms) -> Iterator[Finding]:
    for key, variable in terms.variables.items():
        wanted = variable.needed_in(terms.environment) and values.applies(variable, file.values)
        if not wanted or file.values.get(key):
            continue
        reason = "".join(f" while {name} is {value}" for name, value in variable.when.items())
        message = f"{key} is {'empty' if key in file.values else 'missing'}, and {terms.environment} needs it{reason}."
        fix = _making(key, variable, file)
        yield Finding("env-missing", Severity.ERROR, file.where(key), message, variable.doc, fix)


def _unfit(file: EnvFile, terms: Terms) -> Iterator[Finding]:
    for key, value in file.values.items():
        variable = catalogue().keys.get(key)
        # A reference to another variable is the shell's to resolve.
        if variable is None or value == "" or "${" in value:
            continue
        problem = values.problem(variable, value)
        if problem:
            yield Finding("env-value", Severity.ERROR, file.where(key), f"{key} {problem}.", variable.doc)


def _known_secrets(file: EnvFile, terms: Terms) -> Iterator[Finding]:
    severity = Severity.WARNING if terms.environment == "development" else Severity.ERROR
    for key, value in file.values.items():
        variable = catalogue().keys.get(key)
        if variable is None or value == "":
            continue
        fix = _making(key, variable, file)
        if values.is_placeholder(variable, value):
            message = f"{key} still holds what a guide printed."
            yield Finding("env-placeholder", severity, file.where(key), message, "Put your own in its place.", fix)
        elif variable.type == "secret" and (problem := values.weakness(variable, value)):
            yield Finding("env-weak-secret", severity, file.where(key), f"{key} {problem}.", variable.doc, fix)


def _making(key: str, variable: Variable, file: EnvFile) -> str | None:
    return f"chatctl env secret {key} --write {file.name}" if variable.made_here else None


def _unsafe(file: EnvFile, terms: Terms) -> Iterator[Finding]:
    if not terms.production:
        return
    for key, variable in terms.variables.items():
        value = file.values.get(key, "")
        if variable.safe is not None and value and values.truth(value) != values.truth(variable.safe):
            message = f"{key} must be {variable.safe} in production."
            yield Finding("env-unsafe", Severity.ERROR, file.where(key), message, variable.doc)
    named = file.values.get("ENVIRONMENT")
    if named not in (None, "", "production"):
        message = f"ENVIRONMENT says {named}, but the file was checked for production."
        yield Finding("env-unsafe", Severity.ERROR, file.where("ENVIRONMENT"), message, "Set it to production.")
    yield from _origins(file)


def _origins(file: EnvFile) -> Iterator[Finding]:
    where = file.where("CORS_ORIGINS")
    origins = values.as_list(file.values.get("CORS_ORIGINS", ""))
    if any("*" in origin for origin in origins):
        message = "CORS_ORIGINS lets every origin in."
        yield Finding("env-origins", Severity.ERROR, where, message, "Name each origin: https://app.example.org.")
    if any(origin.startswith("http://") for origin in origins):
        message = "CORS_ORIGINS names an origin without TLS."
        yield Finding("env-origins", Severity.WARNING, where, message, "Serve it by https.")
    if "CORS_ORIGINS" in file.values and not origins:
        message = "CORS_ORIGINS lets no other origin in."
        yield Finding("env-origins", Severity.NOTE, where, message, "Name the dashboard's where it has one of its own.")


def _browser(file: EnvFile, terms: Terms) -> Iterator[Finding]:
    for key in file.values:
        if key.startswith("VITE_") and any(word in key for word in _SECRET_NAMES):
            message = f"{key} goes to every browser, as all that begins with VITE_ does."
            yield Finding(
                "env-browser", Severity.ERROR, file.where(key), message, "Keep secrets in the backend's file."
            )


def _open_to_all(file: EnvFile, terms: Terms) -> Iterator[Finding]:
    hidden = [key for key, value in file.values.items() if value and _is_hidden(key)]
    if not hidden or os.name != "posix":
        return
    mode = Path(file.name).stat().st_mode
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        severity = Severity.WARNING if terms.production and mode & stat.S_IROTH else Severity.NOTE
        message = f"Others on this machine can read the file, which holds {', '.join(hidden[:3])}."
        yield Finding(
            "env-file-mode", severity, file.name, message, "Let its owner alone read it.", f"chmod 600 {file.name}"
        )


def _is_hidden(key: str) -> bool:
    variable = catalogue().keys.get(key)
    return variable is not None and variable.hidden


def _mismatches(files: list[EnvFile]) -> Iterator[Finding]:
    held = {key: (file, value) for file in files for key, value in file.values.items()}
    for here, there in catalogue().same.items():
        if here in held and there in held and held[here][1] != held[there][1]:
            message = f"{here} is not what {there} is in {held[there][0].where(there)}."
            yield Finding("env-mismatch", Severity.ERROR, held[here][0].where(here), message, "Both must be the same.")
