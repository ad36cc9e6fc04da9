"""The one envelope that every answer comes in, success or not: the keys are the command contract's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chatctl.domain.result import Notice

#: The envelope's format version.
VERSION = 1


@dataclass(frozen=True)
class Envelope:
    """An answer, ready to be written in any format.

    `command` is the command's words without the program's name ("migrate status"); `data` holds JSON values only.
    """

    command: str
    status: str
    exit_code: int
    data: Mapping[str, Any] = field(default_factory=dict)
    run_id: str | None = None
    warnings: tuple[Notice, ...] = ()
    errors: tuple[Notice, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The envelope as JSON and YAML show it."""
        return {
            "chatctl": VERSION,
            "command": self.command,
            "status": self.status,
            "exit_code": self.exit_code,
            "run_id": self.run_id,
            "data": dict(self.data),
            "warnings": [{"code": n.code, "message": n.message, "hint": n.hint} for n in self.warnings],
            "errors": [{"code": n.code, "message": n.message, "hint": n.hint, "docs": n.docs} for n in self.errors],
        }
