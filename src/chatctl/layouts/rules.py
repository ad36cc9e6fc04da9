"""What a layout says beyond its tables: how messages are grouped, what retention removes, the Redis keys.

Plain values that services read; nothing here acts. Tables and columns are in `chatctl.layouts.model`.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from chatctl.domain.predicates import Predicate, parse_predicate

_GAP = re.compile(r"[1-9][0-9]*[smhd]")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


class Declared(BaseModel):
    """What every part of a layout file shares: unknown keys are mistakes, values don't change."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class State(Declared):
    """A fingerprint in the layout's own words (`messages.chat_id`, `chats`), where the derived one won't do."""

    has: list[str] = []
    lacks: list[str] = []


class Regroup(Declared):
    """How flat messages become chats; the rules are read by the regroup service.

    `by` are the message's grouping keys and `order` its order within a group. `gap` is the pause that starts a
    new chat (`30m`, `6h`, `1d`; none by default). `defaults` are the values that a missing grouping key takes.
    `distinct` names the entities that get a row for each distinct value: entity → {its column: the message's}.
    """

    source: str = Field(alias="from")
    into: str
    by: list[str] = Field(min_length=1)
    order: list[str] = Field(min_length=1)
    id: str
    title: str | None = None
    gap: str | None = None
    defaults: dict[str, str] = {}
    distinct: dict[str, dict[str, str]] = {}

    @field_validator("gap")
    @classmethod
    def _gap_is_a_duration(cls, gap: str | None) -> str | None:
        if gap is not None and not _GAP.fullmatch(gap):
            raise ValueError(f"expected a duration such as 30m, 6h or 1d, found '{gap}'")
        return gap


class Purge(Declared):
    """What retention removes: the entity, its clock, what goes with it, and what is exempt.

    `account` is the column by which a purge can be limited to one account. Each of `with` belongs to `what`, or to
    one named before it. `exempt` is a predicate (`is_pinned is true or status = 'kept'`) over columns of `what`.
    """

    what: str
    clock: str
    account: str | None = None
    children: list[str] = Field(default=[], alias="with")
    exempt: str | None = None

    @field_validator("exempt")
    @classmethod
    def _exempt_is_a_predicate(cls, exempt: str | None) -> str | None:
        if exempt is not None:
            parse_predicate(exempt)
        return exempt

    @property
    def exemption(self) -> Predicate:
        """What is exempt; empty where nothing is."""
        return parse_predicate(self.exempt) if self.exempt else ()

    @property
    def exempting_columns(self) -> list[str]:
        """The columns that decide whether a row is exempt."""
        return list(dict.fromkeys(comparison.column for term in self.exemption for comparison in term))


class Rollback(Declared):
    """What going back means to the application: switches that turn the new parts off, and what people have to do.

    `flags` are named as the application names them. What `by_hand` lists chatctl can't do.
    """

    flags: dict[str, bool] = {}
    by_hand: list[str] = []


class Requires(Declared):
    """What the application needs around it: the oldest versions (`docker: optional` where one can do without), and the
    outside services that it talks to.
    """

    python: str | None = None
    node: str | None = None
    docker: str | None = None
    postgresql: str | None = None
    mariadb: str | None = None
    mysql: str | None = None
    sqlite: str | None = None
    redis: str | None = None
    services: list[str] = []


class RedisKey(Declared):
    """A family of Redis keys: its database, its template (`chat:{chat}:metadata`), and how it is kept."""

    db: int = Field(ge=0)
    key: str = Field(min_length=1)
    type: Literal["counter", "string", "json", "list", "set"] = "string"
    ttl_seconds: int | None = Field(default=None, gt=0)
    max_length: int | None = Field(default=None, gt=0)

    @property
    def placeholders(self) -> list[str]:
        """The names in the template's braces, in order."""
        return _PLACEHOLDER.findall(self.key)
