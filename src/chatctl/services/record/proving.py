"""`record check`: looks at every item that a command can check, and notes what proved it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chatctl.domain.findings import Severity
from chatctl.domain.instants import iso, to_epoch_ms
from chatctl.domain.result import Outcome, Result
from chatctl.errors import ChatctlError
from chatctl.services.code import scanning
from chatctl.services.doctor import checking as doctor
from chatctl.services.doctor.base import Surroundings
from chatctl.services.environment import checking as environment
from chatctl.services.migrate.target import MigrationTarget
from chatctl.services.record import keeping
from chatctl.services.record.lists import Item, items_of
from chatctl.stores.sql.journal import RunStatus
from chatctl.stores.sql.journal.runs import whoami

_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Places:
    """Where the application is: its base URL and its source code, where they are known, and its environment file."""

    base_url: str | None
    code: Path | None
    env_file: Path


@dataclass(frozen=True)
class Proof:
    """Whether something is so, and what shows it. `ok` is None where nobody could look."""

    ok: bool | None
    text: str


def check(target: MigrationTarget, around: Surroundings, places: Places, *, dry_run: bool = False) -> Result:
    """Checks the newest record's items; a finding while one is open. Raises NotFoundError where there is no record."""
    record = keeping.load(target)
    known = items_of(record["layout"])
    proved = {key: _prove(known[key], target, around, places) for key in record["items"] if key in known}
    now = iso(to_epoch_ms(datetime.now(UTC)))

    def noted(changed: keeping.Record) -> None:
        for key, proof in proved.items():
            # What a person signed for with a note stands until a check says otherwise.
            if proof.ok is None and (not known[key].checked or changed["items"][key]["state"] == keeping.DONE):
                continue
            state = keeping.DONE if proof.ok else keeping.OPEN if proof.ok is None else keeping.FAILED
            changed["items"][key] = {"state": state, "proof": proof.text, "by": whoami(), "at": now}

    result = keeping.change(target, noted, dry_run=dry_run)
    return Result(result.data, Outcome.DONE if result.data["open"] == 0 else Outcome.FINDINGS)


def _prove(item: Item, target: MigrationTarget, around: Surroundings, places: Places) -> Proof:
    """All proofs of one item as one: so if all are, unknown if none speaks against it but not all could look."""
    proofs = list(_proofs(item, target, around, places))
    ok = False if any(proof.ok is False for proof in proofs) else None if any(p.ok is None for p in proofs) else True
    return Proof(ok if proofs else None, "; ".join(proof.text for proof in proofs))


def _proofs(item: Item, target: MigrationTarget, around: Surroundings, places: Places) -> Iterator[Proof]:
    if item.run is not None:
        yield _by_run(item.run, target)
    if item.checks:
        for row in doctor.examine(around, names=item.checks).data["checks"]:
            verdict = {"ok": True, "finding": False}.get(row["state"])
            detail = f": {row['detail']}" if row["detail"] and not verdict else ""
            yield Proof(verdict, f"doctor {row['name']} {row['state']}{detail}")
    if item.get is not None:
        yield _by_request(item.get, places.base_url)
    if item.code:
        yield _by_scan(places.code)
    if item.env is not None:
        yield _by_environment(item, places.env_file)


def _by_run(kind: str, target: MigrationTarget) -> Proof:
    # Both spellings of a command's kind are one kind of run: `migrate` runs `migrate up`, `purge` runs `purge run`.
    with target.database.connect() as connection:
        runs = target.journal.runs.list(connection, (kind, kind.split()[0]), 50)
    ended = [run for run in runs if run.status is RunStatus.DONE]
    return Proof(True, f"run {ended[0].id}") if ended else Proof(False, f"no {kind} has ended well")


def _by_request(path: str, base_url: str | None) -> Proof:
    import httpx

    if base_url is None:
        return Proof(None, f"GET {path}: no --base-url was given")
    try:
        code = httpx.get(base_url.rstrip("/") + path, timeout=_TIMEOUT_SECONDS, follow_redirects=False).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as problem:
        return Proof(False, f"GET {path}: {type(problem).__name__}")
    return Proof(code == httpx.codes.OK, f"GET {path}: {code}")


def _by_scan(place: Path | None) -> Proof:
    if place is None:
        return Proof(None, "code scan: no --code was given")
    try:
        found: list[Any] = scanning.scan(place).data["findings"]
    except ChatctlError as problem:
        return Proof(False, f"code scan: {problem.message}")
    return Proof(not found, f"code scan: {len(found)} found" if found else "code scan: clean")


def _by_environment(item: Item, file: Path) -> Proof:
    assert item.env is not None
    try:
        found = environment.findings_of(file, item.env)
    except ChatctlError as problem:
        return Proof(False, f"env check: {problem.message}")
    serious = [finding for finding in found if finding.severity is not Severity.NOTE]
    return Proof(not serious, f"env check {item.env}: {f'{len(serious)} found' if serious else 'clean'}")
