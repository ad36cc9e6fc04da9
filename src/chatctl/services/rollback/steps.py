"""What a rollback's plan is made of: steps and losses, as plain data that a run keeps and goes on from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

PURGE, REGROUP, SCHEMA, RESTORE = "purge restore", "regroup undo", "migrate down", "backup restore"
COUNTERS, ENVIRONMENT, FLAGS, VERIFY = "counters", "environment", "flags", "verify"


@dataclass(frozen=True)
class Loss:
    """Rows of a table (or values of a column, keys of Redis) that were written since, and go with a step."""

    table: str
    column: str | None
    rows: int


@dataclass(frozen=True)
class Step:
    """One step: which, of what (a run, a revision, a backup), what it does in words, and what it loses."""

    step: str
    of: str | None
    what: str
    loses: tuple[Loss, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As the plan shows it."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Step:
        """What `as_json` gave."""
        return cls(raw["step"], raw["of"], raw["what"], tuple(Loss(**each) for each in raw["loses"]))


@dataclass(frozen=True)
class RollbackPlan:
    """What a rollback would do. `to` says which run it goes back to; `kept` counts, by table, the rows written since
    that stay; `revision` is where the schema will be, and `schema` what it was there (None: not known)."""

    to: Mapping[str, Any]
    revision: str | None
    steps: tuple[Step, ...]
    kept: Mapping[str, int]
    flags: Mapping[str, bool]
    by_hand: tuple[str, ...]
    stuck: tuple[str, ...]
    fingerprint: str
    schema: Mapping[str, str] | None = None

    @property
    def losses(self) -> list[Loss]:
        """Of all steps."""
        return [loss for step in self.steps for loss in step.loses]

    def find(self, name: str) -> Step | None:
        """The step of that name, where there is one alone."""
        return next((step for step in self.steps if step.step == name), None)

    def find_all(self, name: str) -> list[Step]:
        """The steps of that name."""
        return [step for step in self.steps if step.step == name]

    def as_json(self) -> dict[str, Any]:
        """The plan as `rollback plan` answers it."""
        return {
            "fingerprint": self.fingerprint,
            "to": dict(self.to),
            "revision": self.revision,
            "steps": [step.as_json() for step in self.steps],
            "losses": [asdict(loss) for loss in self.losses],
            "kept": dict(self.kept),
            "flags": dict(self.flags),
            "stuck": list(self.stuck),
            "by_hand": list(self.by_hand),
        }

    def as_kept(self) -> dict[str, Any]:
        """The plan as its run keeps it, for whoever goes on with it."""
        return {**self.as_json(), "schema": dict(self.schema) if self.schema is not None else None}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> RollbackPlan:
        """What `as_kept` gave."""
        steps = tuple(Step.from_json(each) for each in raw["steps"])
        return cls(
            raw["to"], raw["revision"], steps, raw["kept"], raw["flags"], tuple(raw["by_hand"]), tuple(raw["stuck"]),
            raw["fingerprint"], raw["schema"],
        )  # fmt: skip
