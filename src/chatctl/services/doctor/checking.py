"""Runs the checks that were asked for and says what they found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatctl.domain.findings import Finding, Severity, any_fails
from chatctl.domain.result import Outcome, Result
from chatctl.errors import ChatctlError, UsageError
from chatctl.services.doctor import backups, database, external, machine, purging, redis, schema
from chatctl.services.doctor.base import PURPOSES, Check, NotApplicableError, Surroundings

#: Every check, in the order in which they are made.
CHECKS: tuple[Check, ...] = tuple(
    check for family in (machine, database, schema, redis, backups, purging, external) for check in family.CHECKS
)


def examine(around: Surroundings, purposes: Sequence[str] = (), names: Sequence[str] = ()) -> Result:
    """What the checks for `purposes` (all, if none are named), or those called `names`, find.

    A check that follows another one, which found something, is skipped. Raises UsageError for an unknown name.
    """
    chosen = _chosen(purposes, names)
    failed: set[str] = set()
    findings: list[Finding] = []
    rows: list[dict[str, Any]] = []
    for check in chosen:
        state, detail, found = _made(check, around, failed)
        findings += found
        if any_fails(found):
            failed.add(check.name)
        rows.append({**_described(check), "state": state, "detail": detail})
    data = {
        "for": list(purposes),
        "checks": rows,
        "findings": [finding.as_json() for finding in findings],
        "ok": not any_fails(findings),
    }
    return Result(data, Outcome.FINDINGS if any_fails(findings) else Outcome.DONE)


def listing(purposes: Sequence[str] = ()) -> Result:
    """The checks there are, and why each is made. Looks at nothing."""
    rows = [{**_described(check), "state": None, "detail": None} for check in _chosen(purposes, ())]
    return Result({"for": list(purposes), "checks": rows, "findings": [], "ok": True})


def _chosen(purposes: Sequence[str], names: Sequence[str]) -> list[Check]:
    known = {check.name: check for check in CHECKS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"No check is called '{unknown[0]}'.", hint="chatctl doctor --list-checks names them.")
    strange = [purpose for purpose in purposes if purpose not in PURPOSES]
    if strange:
        raise UsageError(f"--for '{strange[0]}' means nothing.", hint=f"It is one of {', '.join(PURPOSES)}.")
    if names:
        return [known[name] for name in dict.fromkeys(names)]
    return [check for check in CHECKS if not purposes or check.purposes & set(purposes)]


def _made(check: Check, around: Surroundings, failed: set[str]) -> tuple[str, str | None, list[Finding]]:
    """The state (ok, finding, skipped), a word on it, and the findings."""
    if check.after in failed:
        failed.add(check.name)
        return "skipped", f"{check.after} found something", []
    try:
        found = list(check.run(around))
    except NotApplicableError as reason:
        return "skipped", str(reason), []
    except ChatctlError as problem:
        found = [Finding(check.name, Severity.ERROR, check.family, problem.message, problem.hint)]
    return ("finding" if any_fails(found) else "ok"), (found[0].message if found else None), found


def _described(check: Check) -> dict[str, Any]:
    return {"name": check.name, "family": check.family, "for": sorted(check.purposes), "reason": check.reason}
