"""The part of the command line that says which database and servers are meant.

Plain data that the CLI fills in and `chatctl.settings` reads. Standard library only, so that parsing a command
line costs no pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flags:
    """The global options that choose a context's values; None where the option was left out.

    `config` is a file's path, `layout` a built-in layout's name or a file's path. `database` and `redis` may hold
    a password: neither is shown by `repr`.
    """

    config: str | None = None
    context: str | None = None
    database: str | None = None
    redis: str | None = None
    layout: str | None = None

    def __repr__(self) -> str:
        given = [name for name in ("config", "context", "database", "redis", "layout") if getattr(self, name)]
        return f"Flags({', '.join(given)})"
