"""Runs the steps of each system and says of each how it went. A step that raises nothing has passed."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from chatctl.domain.result import Outcome, Result
from chatctl.errors import UsageError
from chatctl.services.smoke import mentor, ray, simorgh, toolboxai, worker
from chatctl.services.smoke.steps import FailedStep, Step

#: The guides' bound on an answer's time.
BOUND_MS = 500.0

SYSTEMS: Mapping[str, Callable[[Smoke], Sequence[Step]]] = {
    "ray": ray.steps,
    "toolboxai": toolboxai.steps,
    "mentor": mentor.steps,
    "simorgh": simorgh.steps,
    "worker": worker.steps,
}


@dataclass
class Smoke:
    """One run against `base_url`: its client, who it is, and what its steps remember."""

    client: httpx.Client
    user: str
    token: str | None = None
    mentor: str | None = None
    project: str | None = None
    bound_ms: float = BOUND_MS
    slowest_ms: float = 0.0
    last_status: int | None = None
    kept: dict[str, Any] = field(default_factory=dict)

    def send(self, method: str, path: str, expected: int | Sequence[int] = 200, **options: Any) -> Any:
        """The answer's JSON. Raises FailedStep where it has another status, or takes longer than the bound."""
        allowed = (expected,) if isinstance(expected, int) else tuple(expected)
        started = time.perf_counter()
        answer = self.client.request(method, path, **options)
        ms = (time.perf_counter() - started) * 1000
        self.slowest_ms, self.last_status = max(self.slowest_ms, ms), answer.status_code
        if answer.status_code not in allowed:
            raise FailedStep(
                f"{method} {path} answered {answer.status_code}, expected {' or '.join(map(str, allowed))}."
            )
        try:
            return answer.json()
        except ValueError:
            raise FailedStep(f"{method} {path} answered no JSON.") from None


def run(
    base_url: str,
    systems: Sequence[str],
    *,
    token: str | None,
    user: str | None,
    mentor: str | None,
    project: str | None,
) -> Result:
    """The steps of `systems` (all where none is named), each with its status and time; findings where one failed."""
    unknown = [name for name in systems if name not in SYSTEMS]
    if unknown:
        raise UsageError(f"There is no system '{unknown[0]}'.", hint=f"It is one of {', '.join(SYSTEMS)}.")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    who = user or (_subject(token) if token else None) or "john.doe"
    checks: list[dict[str, Any]] = []
    try:
        with httpx.Client(base_url=base_url, headers=headers, timeout=30.0) as client:
            for name in systems or list(SYSTEMS):
                checks += _system(name, Smoke(client, who, token, mentor, project))
    except httpx.InvalidURL as problem:
        raise UsageError(f"'{base_url}' is no URL: {problem}") from None
    except httpx.UnsupportedProtocol:
        raise UsageError(f"'{base_url}' is no URL.", hint="--base-url http://127.0.0.1:8000") from None
    failed = sum(not check["ok"] for check in checks)
    data = {"base_url": base_url, "bound_ms": BOUND_MS, "checks": checks, "failed": failed, "ok": failed == 0}
    return Result(data, Outcome.FINDINGS if failed else Outcome.DONE)


def _system(name: str, smoke: Smoke) -> list[dict[str, Any]]:
    return [_step(name, step, smoke) for step in SYSTEMS[name](smoke)]


def _step(system: str, step: Step, smoke: Smoke) -> dict[str, Any]:
    smoke.slowest_ms, smoke.last_status = 0.0, None
    reason = None
    try:
        step.work()
        if smoke.slowest_ms > smoke.bound_ms:
            reason = f"It took {smoke.slowest_ms:.0f} ms, more than {smoke.bound_ms:.0f} ms."
    except FailedStep as failure:
        reason = str(failure)
    except httpx.UnsupportedProtocol:
        raise
    except httpx.HTTPError as problem:
        reason = f"No answer: {type(problem).__name__}"
    except (LookupError, TypeError, AttributeError):
        reason = "The answer lacks what the next step needs."
    return {
        "system": system,
        "step": step.name,
        "ok": reason is None,
        "status": smoke.last_status,
        "ms": round(smoke.slowest_ms, 1),
        "reason": reason,
    }


def _subject(token: str) -> str | None:
    """Whose token it is, by its own word: nothing here trusts it."""
    try:
        part = token.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["sub"])
    except (LookupError, ValueError):
        return None
